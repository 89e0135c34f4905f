//! Batches that a previous run left in doubt: which of its batches are sent again under their old
//! sequence numbers, and which are not.
//!
//! [`ResumePlan`] reads the tags of the leases that were open. What they leave in doubt is sent
//! again unchanged by [`Sending`](crate::sending::Sending), oldest first and one at a time, until
//! the leader has taken one: it recognises what it has. An identity belongs to one run: everything
//! else gets a fresh one, taken once nothing is in doubt any more.

mod plan;

pub(crate) use plan::{Fate, LeasePlan, Recorded, ResumePlan};
