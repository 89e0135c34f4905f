//! Kafka partition choice: the hashes and strategies of the common clients.
//!
//! A [`Partitioner`] is made from a [`Strategy`] and then asked once per call which partition its
//! records go to. It is pure: randomness is an argument, nothing is read from a clock, the network
//! or a file. So records can be spread exactly as another client spreads them, and the choice can
//! be tested and replayed.
//!
//! ```
//! use wolff_partitioner::{KeyHash, Keyless, Partitioner, Strategy};
//!
//! // As the Java client does it: records of one key stay together, the others go anywhere.
//! let by_key = Strategy::Keyed { hash: KeyHash::Murmur2, keyless: Keyless::Random };
//! let partitioner = Partitioner::new(by_key);
//! let random = 0x9e37_79b9_7f4a_7c15; // any source will do
//!
//! assert_eq!(partitioner.choose(Some(b"customer-17"), 6, random)?, 4);
//! assert_eq!(partitioner.choose(None::<&[u8]>, 6, random)?, 3);
//! # Ok::<(), wolff_partitioner::ChooseError>(())
//! ```
//!
//! Which partitions exist, what waits for them and which can be written to is what a [`TopicView`]
//! says; a plain `u32` is one that only knows the count. A [`CallView`] is the call; a plain key is
//! one.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod partitioner;

mod keyed;
mod round_robin;
mod sticky;

mod crc32;
mod fnv1a;
mod murmur2;
mod phash2;

mod random;

mod call;

mod error;

pub use call::{CallView, HeadersView, Load, RecordView, TopicView};
pub use crc32::crc32;
pub use error::ChooseError;
pub use fnv1a::fnv1a;
pub use keyed::{KeyHash, Keyless};
pub use murmur2::murmur2;
pub use partitioner::{ChoosePartition, Partitioner, Strategy};
pub use phash2::phash2;
