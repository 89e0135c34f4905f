//! The state of a queue in memory.

pub(crate) mod ledger;

mod deliveries;
pub(crate) mod detach;
pub(crate) mod leases;
pub(crate) mod pop;
pub(crate) mod segments;

pub(crate) mod segment;
pub(crate) mod transit;

pub(crate) mod damage_log;
pub(crate) mod waiting;
