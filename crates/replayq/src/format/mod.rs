//! The layouts of the files, see FORMAT.md.

pub(crate) mod control;

pub(crate) mod segment;
