//! The control file: identity, commit slots and lease slots, all at fixed places, so that leasing
//! and acking need no space. See FORMAT.md.

mod file;

mod found;

mod slots;

pub(crate) mod commit;

pub(crate) mod lease;

pub(crate) mod header;

pub(crate) use file::{CommitWriteError, Control, LeaseWriteError};
pub(crate) use found::Found;
pub(crate) use header::{FILE_NAME, NEW_FILE_NAME};
pub(crate) use slots::LeaseSlot;
