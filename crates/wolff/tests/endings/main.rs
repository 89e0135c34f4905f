//! Ends of calls: scenarios against the embedded broker, judged by its log and by the results that
//! callers got.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod answers;
mod bounds;
mod callbacks;
mod causes;
mod damage;
mod disk;
mod doubt;
mod drop;
mod futures;
mod offline;
mod panics;
mod receipts;
mod routing;
mod starting;
mod stop;

mod support;
