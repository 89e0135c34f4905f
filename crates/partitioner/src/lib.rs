//! Kafka partition choice: the hashes and strategies of the common clients.
