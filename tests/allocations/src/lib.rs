//! Nothing but tests: what the producer allocates.
