//! Fields and their bytes: what every message is made of.
//!
//! [`Field`] is a type that has a place in messages; an [`Encoder`] puts fields to a [`Writer`], a [`Decoder`] takes them
//! from shared bytes without copying what is large. Both know the version of the message and whether it is *flexible*,
//! that is, whether lengths are compact and structures carry tagged fields (KIP-482).

mod field;

mod put;
mod take;

mod tagged;

mod parse;

mod writer;

mod chunks;
pub mod varint;

pub use chunks::Chunks;
pub use field::Field;
pub use put::{Encoder, TagWriter};
pub use tagged::{TaggedField, TaggedFields};
pub use take::Decoder;
pub use writer::Writer;
