//! The driver's surroundings: a clock that is set by hand, and the notices.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use bytes::Bytes;
use wolff_core::{DriverHost, Notice};

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) now: Cell<Instant>,
    pub(crate) notices: RefCell<Vec<String>>,
    pub(crate) reused: Cell<usize>,
    /// Looks at the clock since the last step: the driver's loops look once in each round.
    pub(crate) looks: Cell<u32>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            now: Cell::new(Instant::now()),
            notices: RefCell::default(),
            reused: Cell::new(0),
            looks: Cell::new(0),
        }
    }
}

impl DriverHost for Host {
    fn now(&self) -> Instant {
        self.looks.set(self.looks.get() + 1);
        assert!(self.looks.get() < 5_000, "a loop that spins");
        self.now.get()
    }

    fn notice(&self, notice: Notice<'_>) {
        if !matches!(notice, Notice::Appended | Notice::Leased) {
            self.notices.borrow_mut().push(format!("{notice:?}"));
        }
    }

    fn reuse(&self, fragments: Vec<Bytes>) {
        let unshared = fragments.into_iter().filter(Bytes::is_unique).count();
        self.reused.set(self.reused.get() + unshared);
    }
}
