//! Tools of end-to-end tests beside the producer: a consumer that shares no code with it, and text
//! to send.
//!
//! The tests themselves are in `tests/`: the same cases run against the test broker and against a
//! real Kafka. The program `wolff-e2e-verify` makes files of lines and checks what became of them
//! in a topic.

pub mod check;
pub mod lines;

pub mod admin;
pub mod consumer;

/// Whatever goes wrong here, to be shown to a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The example of the repository's front page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
