//! The client against scripted peers in virtual time and against the embedded broker: connections,
//! metadata, security, and what the Erlang original tests.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]

mod administration;
mod bootstrap;
mod closing;
mod cluster;
mod connection;
mod descriptors;
mod dialers;
mod dropped;
mod encrypted_keys;
mod failures;
mod handshake;
mod leaders;
mod memory;
mod metadata;
mod proxy;
mod sasl;
mod sasl_peer;
mod sasl_renewal;
mod secured;
mod seed;
mod shared_produce;
mod silent_drop;
mod single_broker;
mod slow_links;
mod tls;
mod upstream;
mod upstream_fixes;

#[cfg(feature = "tls")]
#[path = "../certificates/mod.rs"]
mod certificates;
#[path = "../impatience/mod.rs"]
mod impatience;
#[path = "../peer/mod.rs"]
mod peer;
#[path = "../trace/mod.rs"]
mod trace;
