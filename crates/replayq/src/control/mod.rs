//! The control file: identity, commit slots and lease slots, all at fixed places, so that leasing and acking need no space. See FORMAT.md.

mod file;

mod slots;

pub(crate) mod commit;

pub(crate) mod lease;

pub(crate) mod header;

pub(crate) use file::{CommitWriteError, Control, FILE_NAME, Found, NEW_FILE_NAME};
pub(crate) use slots::LeaseSlot;
