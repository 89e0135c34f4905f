//! The crate's modules of that name.

#[path = "../../src/memory/allowance.rs"]
pub(crate) mod allowance;
#[path = "../../src/memory/budget.rs"]
pub(crate) mod budget;
