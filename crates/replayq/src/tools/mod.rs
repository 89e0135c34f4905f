//! Looking at and mending the files of a queue without opening it.

pub(crate) mod repair;

pub(crate) mod inspect;
