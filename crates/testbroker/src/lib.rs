//! An in-process Kafka broker with fault controls, for tests and demos.
