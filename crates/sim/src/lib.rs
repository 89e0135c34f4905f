//! The whole producer in virtual time: facade, client, brokers and disk in one thread, from a seed.
//!
//! ```
//! let first = wolff_sim::run(7).unwrap();
//! let second = wolff_sim::run(7).unwrap();
//! assert_eq!(first.trace.lines(), second.trace.lines());
//! ```

mod history;

mod ledger;

mod world;

mod knobs;

mod lanes;
mod network;
mod report;

mod trace;

pub use history::run;
pub use ledger::Violation;
pub use report::{Rare, Report};
pub use trace::Trace;
