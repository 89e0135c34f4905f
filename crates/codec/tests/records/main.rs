//! Record batches from the outside: what the builder writes the reader reads, and nothing else passes for it.

mod samples;

mod compressions;
mod hostile_bytes;
mod round_trips;
