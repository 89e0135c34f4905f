//! The part of a client that does things: it asks, connects, and keeps what it has learnt.

mod leaders;

mod questions;

mod connections;

mod attempt;
mod passage;
mod probe;

mod gate;
mod hosts;
mod sharing;

pub use self::hosts::HostState;
pub use self::leaders::LeaderConnection;
pub(crate) use self::leaders::Manager;
pub use self::probe::{AdvertisedBroker, HostReport};
