//! The records of the input: files or stdin, cut into lines, each line understood as a record.
//!
//! A thread of its own does the blocking reads and hands over large pieces of whole lines; nothing
//! is copied or allocated per line.

mod json;
mod lines;
mod reader;

mod source;

pub(crate) use json::JsonRecord;
pub(crate) use lines::{LineRecord, lines};
pub(crate) use reader::{Input, MAX_LINE_BYTES, Piece};
pub(crate) use source::{Source, close_stdin, waits_for_typing};
