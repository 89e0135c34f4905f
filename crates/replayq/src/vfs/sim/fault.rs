//! Calls that fail on purpose.

/// The outcome of a call that fails.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum FaultKind {
    /// It answers with this system error, having done nothing. A sync that fails so loses what it
    /// should have synced: later syncs succeed without it.
    Error(i32),
    /// It answers with EIO, having done nothing. A sync that fails so drops what it should have
    /// synced: what is read from then on is what the disk had before.
    Drop,
    /// The file system is mounted read-only: calls that change something fail with EROFS, others do
    /// their work.
    ReadOnly,
    /// A read or write does half of what it was asked to; other calls do their work.
    Short,
}

/// A fault and when it happens.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Fault {
    /// The number of the call; the first is 0.
    pub call: u64,
    /// It happens to all later calls too.
    pub for_ever: bool,
    /// The outcome.
    pub kind: FaultKind,
}

impl Fault {
    pub(super) fn strikes(&self, call: u64) -> bool {
        call == self.call || self.for_ever && call > self.call
    }
}
