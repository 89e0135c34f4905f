//! The connection manager of a Kafka client: dialling, versions, pipelining, metadata, back-off.
