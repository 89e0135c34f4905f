//! A Kafka producer that does not lose what it has accepted.
