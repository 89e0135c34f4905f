//! Names of things: items and leases.

pub(crate) mod acks;

pub(crate) mod ranges;

use std::fmt;

/// The id of one item: assigned at append, increasing, never used twice in a queue directory, not
/// even across crashes that its items survive. The first is 1.
///
/// Ids may have holes: a lost item, or a power loss in between, leaves some unused.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct ItemId(pub u64);

impl ItemId {
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub(crate) const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The ids from `first` to `last`, both included.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct ItemRange {
    /// The lowest id.
    pub first: ItemId,
    /// The highest id; never below `first`.
    pub last: ItemId,
}

impl ItemRange {
    /// The ids from `first` to `last`; none if `last` is below `first`.
    #[must_use]
    pub fn new(first: ItemId, last: ItemId) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The one id.
    #[must_use]
    pub const fn one(id: ItemId) -> Self {
        Self {
            first: id,
            last: id,
        }
    }

    /// Returns whether `id` is one of them.
    #[must_use]
    pub fn contains(&self, id: ItemId) -> bool {
        self.first <= id && id <= self.last
    }

    /// The number of ids from first to last (saturating).
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.last.0.saturating_sub(self.first.0).saturating_add(1)
    }

    pub(crate) fn overlaps(&self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for ItemRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}..={}", self.first, self.last)
        }
    }
}

/// The id of a lease, in this run: leases that come back at open get a new one.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct LeaseId(pub(crate) u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
