//! Exponential back-off with jitter, and the seeded random numbers that it needs.
//!
//! Pure: delays are values, randomness is an argument or comes from a seed, and there is no clock.
//!
//! ```
//! use std::time::Duration;
//! use wolff_backoff::{Backoff, BackoffPolicy, Random};
//!
//! let mut random = Random::from_seed(42);
//! let mut backoff = Backoff::new(BackoffPolicy::default());
//! assert_eq!(backoff.next_delay(random.next_u64()), Duration::ZERO);
//! let delay = backoff.next_delay(random.next_u64());
//! assert!(delay > Duration::from_millis(25) && delay <= Duration::from_millis(50));
//! ```

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod backoff;

mod random;

pub use crate::backoff::{Backoff, BackoffPolicy};
pub use crate::random::Random;
