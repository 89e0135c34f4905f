//! The brokers as a client sees them, byte by byte over TCP.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]

#[cfg(test)]
mod faults;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod null_broker;
#[cfg(test)]
mod produce;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod sasl;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod topics;
#[cfg(test)]
mod transactions;

#[cfg(test)]
mod client;
#[cfg(test)]
#[path = "../../src/fixture.rs"]
mod fixture;
