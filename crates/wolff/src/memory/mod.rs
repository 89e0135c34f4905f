//! The memory that producers may hold, all partitions together.

mod allowance;

mod budget;

#[cfg(test)]
mod tests;

pub(crate) use allowance::Allowance;
pub use budget::MemoryBudget;
pub(crate) use budget::{Acquire, MemoryPermit};
