//! The decisions of one Kafka partition queue, sans-IO: batches, window, retries, sequences.
