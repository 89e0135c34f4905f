//! Appending at level `Os`: P3.

use crate::payloads::Payloads;
use crate::race::{Runner, print, print_ratio, race};
use crate::raw::{RawSegments, SEGMENT_BYTES};
use crate::{Settings, erlang, ours, peers, raw};

pub(crate) fn run(settings: &Settings) {
    let rounds = if settings.is_quick { 3 } else { 7 };
    for (item_bytes, name) in [
        (16 << 10, "16kib"),
        (64 << 10, "64kib"),
        (256 << 10, "256kib"),
    ] {
        large(settings, item_bytes, name, rounds);
    }
    small(settings, rounds);
}

/// One item a call: beside the same bytes written raw.
fn large(settings: &Settings, item_bytes: usize, name: &str, rounds: usize) {
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let payloads = Payloads::new(item_bytes, 1);
    let groups = (64 << 20) / item_bytes;
    let bytes = groups * item_bytes;
    let spares = bytes / SEGMENT_BYTES + 2;
    let files = RawSegments::recycled(room.path(), bytes);
    let recycling = ours::open(&room.path().join("recycling"), spares);
    let growing = ours::open(&room.path().join("growing"), 0);
    let append = |queue: &replayq::Queue| {
        let time = ours::append(queue, &payloads, groups);
        let _untimed = ours::drain(queue, 1000);
        time
    };
    let runners: Vec<Runner<'_>> = vec![
        (
            "replayq, recycled segments",
            Box::new(|| append(&recycling)),
        ),
        (
            "raw pwritev, recycled files",
            Box::new(|| files.write_vectored(&payloads, groups)),
        ),
        ("replayq, growing segments", Box::new(|| append(&growing))),
        (
            "raw pwrite, growing files",
            Box::new(|| raw::write_growing(room.path(), &payloads, groups)),
        ),
    ];
    let outcomes = race(runners, rounds);
    print(
        &format!("append, items of {item_bytes} bytes, one a call"),
        groups,
        bytes,
        &outcomes,
    );
    print_ratio(
        &format!("replayq_append_{name}_vs_raw"),
        &outcomes[0],
        &outcomes[1],
    );
    print_ratio(
        &format!("replayq_append_{name}_growing_vs_raw"),
        &outcomes[2],
        &outcomes[3],
    );
}

/// Groups of a hundred small items: beside raw and the other queues.
fn small(settings: &Settings, rounds: usize) {
    const ITEM_BYTES: usize = 116;
    const GROUP: usize = 100;
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let payloads = Payloads::new(ITEM_BYTES, GROUP);
    let groups = if settings.is_quick { 1000 } else { 3000 };
    let bytes = groups * GROUP * ITEM_BYTES;
    let spares = 2 * bytes / SEGMENT_BYTES + 2;
    let files = RawSegments::recycled(room.path(), bytes);
    let recycling = ours::open(&room.path().join("recycling"), spares);
    let growing = ours::open(&room.path().join("growing"), 0);
    let mut yaque = peers::Yaque::open(&room.path().join("yaque"));
    let mut queue_file = peers::QueueFile::open(&room.path().join("queue-file"));
    let mut erlang = erlang::Erlang::start(&room.path().join("erlang"), ITEM_BYTES, GROUP);
    let append = |queue: &replayq::Queue| {
        let time = ours::append(queue, &payloads, groups);
        let _untimed = ours::drain(queue, 1000);
        time
    };
    let mut runners: Vec<Runner<'_>> = vec![
        (
            "replayq, recycled segments",
            Box::new(|| append(&recycling)),
        ),
        (
            "raw pwrite, recycled files",
            Box::new(|| files.write(&payloads, groups)),
        ),
        (
            "raw pwritev, recycled files",
            Box::new(|| files.write_vectored(&payloads, groups)),
        ),
        (
            "yaque 0.6",
            Box::new(|| {
                let time = yaque.append(&payloads, groups);
                let _untimed = yaque.drain();
                time
            }),
        ),
        (
            "queue-file 2.0, no sync",
            Box::new(|| {
                let time = queue_file.append(&payloads, groups);
                let _untimed = queue_file.drain();
                time
            }),
        ),
        ("replayq, growing segments", Box::new(|| append(&growing))),
        (
            "raw pwrite, growing files",
            Box::new(|| raw::write_growing(room.path(), &payloads, groups)),
        ),
    ];
    if let Some(erlang) = erlang.as_mut() {
        runners.push((
            "Erlang replayq",
            Box::new(|| {
                let time = erlang.append(groups).into();
                let _untimed = erlang.drain();
                time
            }),
        ));
    }
    let outcomes = race(runners, rounds);
    print(
        &format!("append, items of {ITEM_BYTES} bytes in groups of {GROUP}"),
        groups * GROUP,
        bytes,
        &outcomes,
    );
    print_ratio("replayq_append_116b_vs_raw", &outcomes[0], &outcomes[1]);
    print_ratio(
        "replayq_append_116b_vs_raw_pwritev",
        &outcomes[0],
        &outcomes[2],
    );
    print_ratio("replayq_append_116b_vs_yaque", &outcomes[0], &outcomes[3]);
    print_ratio(
        "replayq_append_116b_vs_queue_file",
        &outcomes[0],
        &outcomes[4],
    );
    print_ratio(
        "replayq_append_116b_growing_vs_raw",
        &outcomes[5],
        &outcomes[6],
    );
    // yaque has no other files than new ones.
    print_ratio(
        "replayq_append_116b_growing_vs_yaque",
        &outcomes[5],
        &outcomes[3],
    );
    match outcomes.get(7) {
        Some(erlang) => print_ratio("replayq_append_116b_vs_erlang", &outcomes[0], erlang),
        None => println!("  {}", erlang::ABSENT),
    }
}
