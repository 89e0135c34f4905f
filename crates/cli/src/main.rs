//! The wolff command line.

fn main() {}
