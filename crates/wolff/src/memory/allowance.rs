//! What one partition has of a budget: taken in pieces, used byte by byte.

use super::budget::{MemoryBudget, MemoryPermit};

/// What is acquired, and kept in reserve, at once: the budget is not touched for each record.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// The memory of one partition. Under the partition's own lock, so that a record costs an addition.
#[derive(Debug)]
pub(crate) struct Allowance {
    budget: MemoryBudget,
    /// At least `used`.
    held: MemoryPermit,
    used: usize,
}

impl Allowance {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        let held = budget.take(0);
        Self {
            budget,
            held,
            used: 0,
        }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Uses these bytes, if the budget has them: else nothing is changed, and [`needs`](Self::needs) says for how much to
    /// wait.
    #[inline]
    pub(crate) fn try_use(&mut self, bytes: usize) -> bool {
        let after = self.used.saturating_add(bytes);
        if after > self.held.bytes() && !self.grow(after) {
            return false;
        }
        self.used = after;
        true
    }

    /// Uses these bytes, whatever the limit says: for what frees more than it takes, and must go on.
    pub(crate) fn force_use(&mut self, bytes: usize) {
        if !self.try_use(bytes) {
            self.used = self.used.saturating_add(bytes);
            let missing = self.used.saturating_sub(self.held.bytes());
            self.held.merge(self.budget.take(missing));
        }
    }

    /// How many bytes are missing for a use of `bytes`.
    pub(crate) fn needs(&self, bytes: usize) -> usize {
        self.used
            .saturating_add(bytes)
            .saturating_sub(self.held.bytes())
    }

    /// Adds what was waited for.
    pub(crate) fn add(&mut self, permit: MemoryPermit) {
        self.held.merge(permit);
    }

    /// These bytes are no longer used. Keeps up to a piece in reserve; nothing when idle, or while somebody waits.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "more is given back than was used");
        self.used = self.used.saturating_sub(bytes);
        let spare = self.held.bytes().saturating_sub(self.used);
        if self.used == 0 || self.budget.is_wanted() {
            drop(self.held.split(spare));
        } else if spare > PIECE_BYTES {
            drop(self.held.split(spare.saturating_sub(PIECE_BYTES / 2)));
        }
    }

    #[cold]
    fn grow(&mut self, to: usize) -> bool {
        let missing = to.saturating_sub(self.held.bytes());
        let piece = missing.max(PIECE_BYTES);
        let acquired = self.budget.try_acquire(piece);
        // The last bytes of a budget are not enough for a piece.
        let acquired = acquired.or_else(|| self.budget.try_acquire(missing));
        acquired.map(|permit| self.held.merge(permit)).is_some()
    }
}
