//! The client on a real Kafka of three nodes that have all listeners: plaintext, TLS, TLS with
//! client certificates, and each SASL mechanism with and without TLS.
//!
//! `cargo xtask test` starts such a cluster, after all other tests have run. By hand:
//!
//! ```sh
//! export $(cargo xtask kafka start --nodes 3) WOLFF_XTASK=$PWD/target/debug/xtask
//! cargo test -p wolff-real-cluster
//! ```
//!
//! Without three nodes that may be killed, every test says that it is skipped, on standard error
//! and in the file that `WOLFF_SKIPS` names. With `WOLFF_TEST_LONG=1` load lasts a minute where it
//! otherwise lasts seconds.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests, and what only they use"
)]

mod listeners;
mod network;
mod outages;
mod restarted;
mod rotation;
mod rounds;
mod sessions;

mod load;
mod stream;

mod nodes;

mod scram_user;
#[path = "../../../../crates/client/tests/trace/mod.rs"]
mod trace;
