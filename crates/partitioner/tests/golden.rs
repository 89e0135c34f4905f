//! The hashes against the implementations they must equal: Kafka's Java client, Erlang, and Go's
//! standard library for the two that are public standards. The programs that wrote the tables lie
//! in `golden/generate`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::num::NonZeroU32;
use wolff_partitioner::{KeyHash, crc32, fnv1a, murmur2, phash2};

struct Row {
    key: Vec<u8>,
    hash: u32,
    partition_of_7: Option<u32>,
}

fn rows(table: &str) -> Vec<Row> {
    let rows: Vec<Row> = table
        .lines()
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            Row {
                key: bytes_of(columns[0]),
                hash: columns[1].parse().unwrap(),
                partition_of_7: columns.get(2).map(|column| column.parse().unwrap()),
            }
        })
        .collect();
    assert!(rows.len() > 100, "the table is cut short");
    rows
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex
        .chars()
        .map(|digit| digit.to_digit(16).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

fn check(table: &str, hash: fn(&[u8]) -> u32) {
    for row in rows(table) {
        assert_eq!(hash(&row.key), row.hash, "key {:02x?}", row.key);
    }
}

#[test]
fn murmur2_is_the_java_clients() {
    check(include_str!("golden/murmur2.tsv"), murmur2);
}

#[test]
fn murmur2_chooses_the_partitions_that_the_java_client_chooses() {
    let seven = NonZeroU32::new(7).unwrap();
    for row in rows(include_str!("golden/murmur2.tsv")) {
        let partition = KeyHash::Murmur2.partition_of(&row.key, seven);
        assert_eq!(Some(partition), row.partition_of_7, "key {:02x?}", row.key);
    }
}

#[test]
fn phash2_is_erlangs() {
    check(include_str!("golden/phash2.tsv"), phash2);
}

#[test]
fn crc32_is_the_standard_one() {
    check(include_str!("golden/crc32.tsv"), crc32);
}

#[test]
fn fnv1a_is_the_standard_one() {
    check(include_str!("golden/fnv1a.tsv"), fnv1a);
}
