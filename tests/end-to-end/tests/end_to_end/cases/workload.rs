//! Records that tell from which call they are, and the check that all of them arrived.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use wolff::{Producer, Receipt, Record};

use crate::site::{Message, PATIENCE};

/// Different keys.
pub(super) const KEYS: u64 = 37;

/// A record with this number in its value, a key by the number, and a length that varies.
pub(super) fn record(number: u64) -> Record {
    let padding = "x".repeat(usize::try_from(number * 31 % 230).unwrap());
    Record::new()
        .key(key(number))
        .value(format!("{number} {padding}"))
}

pub(super) fn key(number: u64) -> String {
    format!("key-{}", number % KEYS)
}

/// Sends the records of these numbers, each as a call of its own.
pub(super) async fn send(producer: &Producer, numbers: std::ops::Range<u64>) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for number in numbers {
        receipts.push(producer.send(record(number)).await.unwrap());
    }
    receipts
}

/// Every receipt ends with an acknowledgement.
pub(super) async fn all_acked(receipts: Vec<Receipt>) {
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

pub(super) async fn flush(producer: &Producer) {
    producer.flush(PATIENCE).await.unwrap();
}

/// A topic holds the records of `0..count`: each once, unaltered, per key in order and in one
/// partition.
#[track_caller]
pub(super) fn assert_exactly(found: &BTreeMap<i32, Vec<Message>>, count: u64) {
    let mut seen = vec![0_u32; usize::try_from(count).unwrap()];
    for messages in found.values() {
        for message in messages {
            let number = message.number();
            let expected = record(number);
            assert_eq!(message.key.as_deref(), expected.key.as_deref());
            assert_eq!(message.value.as_deref(), expected.value.as_deref());
            seen[usize::try_from(number).unwrap()] += 1;
        }
    }
    let missing: Vec<usize> = (0..seen.len())
        .filter(|number| seen[*number] == 0)
        .collect();
    let doubled: Vec<usize> = (0..seen.len()).filter(|number| seen[*number] > 1).collect();
    assert!(
        missing.is_empty(),
        "{} of {count} are missing: {:?} …",
        missing.len(),
        &missing[..missing.len().min(10)]
    );
    assert!(
        doubled.is_empty(),
        "{} of {count} are doubled: {:?} …",
        doubled.len(),
        &doubled[..doubled.len().min(10)]
    );
    assert_in_order(found);
}

/// All records of a partition are in the order of their calls, and each key is in one partition.
#[track_caller]
pub(super) fn assert_in_order(found: &BTreeMap<i32, Vec<Message>>) {
    let mut partition_of_key: HashMap<&[u8], i32> = HashMap::new();
    for (partition, messages) in found {
        for pair in messages.windows(2) {
            assert!(
                pair[0].number() < pair[1].number(),
                "partition {partition}: {:?}",
                pair
            );
        }
        for message in messages {
            let key = message.key.as_deref().unwrap();
            assert_eq!(partition_of_key.entry(key).or_insert(*partition), partition);
        }
    }
}

/// A linger that does not end by itself while a test runs.
pub(super) const FOR_EVER: Duration = Duration::from_secs(3600);
