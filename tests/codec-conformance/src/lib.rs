//! wolff-codec against other implementations of the protocol. The tests of this package do the
//! comparing; here is what they compare with.

pub mod coverage;

pub mod golden;
pub mod printed;
pub mod samples;

pub mod text;
