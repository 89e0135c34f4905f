//! Rounds under load: a producer with its queue on disk, as a process of its own, while nodes are
//! restarted, while it is stopped and started again, or killed. An independent consumer reads the
//! log to its end, and the oracle of this package says which records are there.
//!
//! Few rounds by default; `cargo xtask soak real-stop --rounds 50` runs more, and adds up the lines
//! `figure <name> <number>`. `WOLFF_ROUNDS` and `WOLFF_SEED` are what it sets.

mod kills;
mod rolling;
mod stops;

mod cluster;

mod child;
mod random;
