//! wolff-codec against an independent implementation of the protocol, the `kafka-protocol` crate: the tests of this package.
//! Here is how two implementations' structs are compared.

pub mod printed;
