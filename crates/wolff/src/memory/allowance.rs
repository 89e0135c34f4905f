//! The part of a budget that one queue has: acquired in pieces, so that the budget is not
//! touched for each call.

use super::budget::{Acquire, LeasedBytes, MemoryBudget, MemoryPermit};

/// Bytes that a queue which uses little acquires, and keeps in reserve, at once.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// A busy queue's pieces are this fraction of what it uses: all of them together keep so much of a
/// budget in reserve beyond the least pieces.
const USED_PER_PIECE: u64 = 8;

/// Largest piece, as a fraction of the budget.
const LIMIT_PER_PIECE: usize = 64;

/// Memory that is kept for the next batches where nothing of a budget is free, as a fraction of it.
const LIMIT_PER_SPARE: usize = 32;

/// The part of a budget that one queue holds: what it uses, and room for calls to come.
#[derive(Debug)]
pub(crate) struct Allowance {
    budget: MemoryBudget,
    /// At least what is used and the room together, once they are balanced.
    held: MemoryPermit,
    /// Bytes that the queue has leased from the disk.
    leased: LeasedBytes,
    piece: Piece,
}

/// The size of a piece: it follows what is used, so that a busy queue rarely needs one. A thousand
/// idle queues keep a quarter of a budget in reserve at most.
#[derive(Debug)]
struct Piece {
    least: usize,
    most: usize,
    now: usize,
}

impl Piece {
    fn of(limit_bytes: usize) -> Self {
        let least = PIECE_BYTES.min(limit_bytes / 4096);
        Self {
            least,
            most: least.max(limit_bytes / LIMIT_PER_PIECE),
            now: least,
        }
    }

    fn follow(&mut self, used_bytes: u64) {
        self.now = narrow(used_bytes / USED_PER_PIECE).clamp(self.least, self.most);
    }
}

impl Allowance {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self {
            held: budget.take(0),
            leased: budget.leased(),
            piece: Piece::of(budget.limit_bytes()),
            budget,
        }
    }

    /// Acquires so many bytes, up to a piece where the budget has more.
    pub(crate) fn try_acquire(&self, bytes: usize) -> Option<MemoryPermit> {
        let most = bytes.max(self.piece.now);
        self.budget.try_acquire_some(bytes, most)
    }

    /// Acquires up to a piece before it is needed, if the budget has as much as the least.
    pub(crate) fn try_acquire_ahead(&self) -> Option<MemoryPermit> {
        self.budget
            .try_acquire_some(self.piece.least, self.piece.now)
    }

    /// Waits for room.
    pub(crate) fn acquire(&self, bytes: usize) -> Acquire {
        self.budget.acquire(bytes)
    }

    /// Adds what was waited for. Returns the room that is gained.
    pub(crate) fn add(&mut self, permit: MemoryPermit) -> u64 {
        let bytes = wide(permit.bytes());
        self.held.merge(permit);
        bytes
    }

    /// Counts what is leased from the disk. Gives back what is neither used nor kept in reserve,
    /// and takes what is used beyond what is held, whatever the limit says: it is there already.
    /// Returns the reserve, which is room for calls: up to a piece; nothing while nothing is used,
    /// or somebody waits.
    pub(crate) fn balance(&mut self, used_bytes: u64, leased_bytes: u64) -> u64 {
        self.leased.set(narrow(leased_bytes));
        self.piece.follow(used_bytes);
        let held = wide(self.held.bytes());
        if used_bytes > held {
            let missing = used_bytes.saturating_sub(held);
            self.held.merge(self.budget.take(narrow(missing)));
            return 0;
        }
        let piece = wide(self.piece.now);
        let spare = held.saturating_sub(used_bytes);
        let reserve = if used_bytes == 0 || self.budget.is_wanted() {
            0
        } else if spare > piece {
            // Less than a piece: else the next bytes that are freed go back one by one.
            piece / 2
        } else {
            spare
        };
        drop(self.held.split(narrow(spare.saturating_sub(reserve))));
        reserve
    }

    /// Bytes of memory of done batches that are worth keeping for the next ones: what the budget
    /// has free, and a small part of it where that is less, since what is freed is used again at
    /// once then.
    pub(crate) fn spare_bytes(&self) -> usize {
        let limit = self.budget.limit_bytes();
        let free = limit.saturating_sub(self.budget.used_bytes());
        free.max(limit / LIMIT_PER_SPARE)
    }

    /// Returns whether less has to be leased from the disk than there could be.
    pub(crate) fn is_short(&self) -> bool {
        self.budget.is_short()
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn narrow(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
