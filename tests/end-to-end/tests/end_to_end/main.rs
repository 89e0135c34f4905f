//! The producer from end to end: the same cases against the in-process test broker and against a
//! real Kafka, read back by librdkafka.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test, not only the functions that are marked so"
)]

mod real_kafka;
mod test_broker;

mod cases;

mod site;
