//! The cluster as a client sees it, byte by byte over TCP.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod produce;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod topics;

#[cfg(test)]
mod client;
#[cfg(test)]
#[path = "../../src/fixture.rs"]
mod fixture;
