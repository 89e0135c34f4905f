//! The tests of this package: the client, and the whole producer, on a real cluster of three nodes.
//! What is here serves tests that kill, stop and restart a producer: the program `wolff-numbered`
//! produces numbered records and reports each step, a test reads its reports, and the oracle
//! compares them with the log.

pub mod oracle;

pub mod record;
pub mod report;
