//! One segment file: its name, its head (header and seal), its entries, and walking through them.
//! See FORMAT.md.

pub(crate) mod entries;
pub(crate) mod walk;

pub(crate) mod head;

mod buffers;
pub(crate) mod entry;

pub(crate) mod payload;
pub(crate) mod sums;

pub(crate) mod key;

pub(crate) mod generations;
