//! Kafka's wire protocol, both directions: messages, record batches, compression; no I/O.
