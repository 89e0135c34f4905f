//! Faults in place, and whose turn it is: for the brokers and for the proxy.

/// Name of a fault that is in place, made from its number.
pub(crate) trait FaultNumber: Copy + Eq {
    /// The fault of that number.
    fn numbered(number: u64) -> Self;
}

/// The faults in place, in the order in which they were put there.
#[derive(Debug)]
pub(crate) struct FaultBook<I, F> {
    faults: Vec<(I, F)>,
    last_number: u64,
}

impl<I, F> Default for FaultBook<I, F> {
    fn default() -> Self {
        Self {
            faults: Vec::new(),
            last_number: 0,
        }
    }
}

impl<I: FaultNumber, F> FaultBook<I, F> {
    pub(crate) fn add(&mut self, fault: F) -> I {
        self.last_number = self.last_number.saturating_add(1);
        let id = I::numbered(self.last_number);
        self.faults.push((id, fault));
        id
    }

    /// True if there was such a fault, used up or not.
    pub(crate) fn remove(&mut self, id: I) -> bool {
        let before = self.faults.len();
        self.faults.retain(|(other, _)| *other != id);
        self.faults.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn contains(&self, id: I) -> bool {
        self.faults.iter().any(|(other, _)| *other == id)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut F)> {
        self.faults.iter_mut().map(|(id, fault)| (*id, fault))
    }
}

/// Turns of a fault among the things that fit it: how many are spared first, and how many are
/// struck. Default: the first one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    skip: u64,
    /// `None` for as long as the fault is in place.
    times: Option<u64>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            skip: 0,
            times: Some(1),
        }
    }
}

impl Turns {
    /// Spares the first ones.
    pub(crate) fn skip(&mut self, count: u64) {
        self.skip = count;
    }

    /// Strikes so many; `None`: all.
    pub(crate) fn times(&mut self, count: Option<u64>) {
        self.times = count;
    }

    /// Takes the turn of something that fits. Returns whether it is struck.
    pub(crate) fn strike(&mut self) -> bool {
        if self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.map(|times| times.saturating_sub(1));
        true
    }
}
