//! The client against a real Kafka, directly and through the proxy.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![cfg(feature = "tls")]

mod kafka;
mod proxy_kafka;

#[path = "../certificates/mod.rs"]
mod certificates;
#[path = "../impatience/mod.rs"]
mod impatience;
#[path = "../trace/mod.rs"]
mod trace;
