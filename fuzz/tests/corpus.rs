//! Every body over the inputs that were kept for it.

#![expect(clippy::unwrap_used, reason = "here a panic is a failed test")]

use std::{fs, path::Path};

fn run_over_corpus(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        body(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", corpus.display());
}

#[test]
fn frame_splitter() {
    run_over_corpus("frame_splitter", wolff_fuzz::messages::frame_splitter);
}

#[test]
fn requests() {
    run_over_corpus("requests", wolff_fuzz::messages::requests);
}

#[test]
fn responses() {
    run_over_corpus("responses", wolff_fuzz::messages::responses);
}

#[test]
fn consumer_protocol() {
    run_over_corpus("consumer_protocol", wolff_fuzz::messages::consumer_protocol);
}

#[test]
fn record_batch() {
    run_over_corpus("record_batch", wolff_fuzz::records::record_batch);
}

#[test]
fn decompression() {
    run_over_corpus("decompression", wolff_fuzz::records::decompression);
}

#[test]
fn varint() {
    run_over_corpus("varint", wolff_fuzz::records::varint);
}

#[test]
fn builder_reader() {
    run_over_corpus("builder_reader", wolff_fuzz::records::builder_reader);
}

#[test]
fn choice() {
    run_over_corpus("choice", wolff_fuzz::partitions::choice);
}

#[test]
fn machine() {
    run_over_corpus("machine", wolff_fuzz::machine::machine);
}

#[test]
fn queue_segment() {
    run_over_corpus("queue_segment", wolff_fuzz::queue::segment);
}

#[test]
fn queue_slots() {
    run_over_corpus("queue_slots", wolff_fuzz::queue::slots);
}

#[test]
fn queue_directory() {
    run_over_corpus("queue_directory", wolff_fuzz::queue::directory);
}

#[test]
fn queue_operations() {
    run_over_corpus("queue_operations", wolff_fuzz::queue::operations);
}

#[test]
fn endpoints() {
    run_over_corpus("endpoints", wolff_fuzz::client::endpoints);
}

#[test]
fn pem() {
    run_over_corpus("pem", wolff_fuzz::client::pem);
}

#[test]
fn credential_files() {
    run_over_corpus("credential_files", wolff_fuzz::client::credential_files);
}

#[test]
fn scram() {
    run_over_corpus("scram", wolff_fuzz::client::scram);
}

#[test]
fn first_answers() {
    run_over_corpus("first_answers", wolff_fuzz::client::first_answers);
}
