//! The machine in virtual time, against a model of the local queue and of a broker.

mod broker;
mod cases;
mod harness;
mod simulation;
