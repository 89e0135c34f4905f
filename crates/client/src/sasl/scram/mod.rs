//! SCRAM-SHA-256 and SCRAM-SHA-512: both sides prove that they know the password, without showing
//! it.

mod exchange;

mod client;

mod keys;
mod messages;

#[cfg(test)]
mod tests;

pub(super) use self::exchange::Scram;
