//! Promises of the client, one test for each row, against brokers that are really there. The other
//! tests go into the corners of each.
//!
//! | row | promise |
//! |---|---|
//! | A1 | clients by name: start, find, ensure, stop and delete; starting needs no broker |
//! | A2 | a connection for each partition or for each broker, whose partitions then share requests |
//! | A3 | refresh interval, time for metadata, no wait after a recent disconnect, no storms |
//! | A4 | time limits, client id, socket options, IPv6, all addresses of a name |
//! | A5 | versions are negotiated for each connection, and the client says who it is; or nothing is asked |
//! | A6 | TLS: authorities, client certificates, names, verification, renewed files, a configuration of one's own |
//! | A7 | SASL: all mechanisms, credentials from everywhere, plugins, sessions that are renewed under load |
//! | A8 | connectivity, existence, automatic creation, readable reasons for each host |
//! | A9 | bootstrap again, hints at leaders, topics that were made anew |
//! | A10 | throttling is obeyed, and nothing that was accepted is sent again |
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![cfg(feature = "tls")]
#![expect(
    clippy::unwrap_used,
    clippy::unreachable,
    reason = "tests, and what only they use"
)]

mod cluster;
mod login;
mod names;
mod network;
mod tls;

#[path = "../impatience/mod.rs"]
mod impatience;
mod relay;
#[path = "../trace/mod.rs"]
mod trace;
