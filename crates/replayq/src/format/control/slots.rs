//! Which lease slot may be written: a slot is used again only when the commit that covers its lease
//! is durable.

/// The number of a lease slot.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub(crate) struct LeaseSlot(pub(crate) usize);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Free,
    /// Its content, in case that it has to be written again.
    Held(Vec<u8>),
    /// Free once a commit with this sequence is durable.
    Covered { by: u64, content: Vec<u8> },
}

/// The lease slots of a control file.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    states: Vec<State>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            states: vec![State::Free; count],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// There are so many now, if there were fewer.
    pub(crate) fn extend(&mut self, count: usize) {
        self.states.resize(count.max(self.len()), State::Free);
    }

    /// A slot that may be written now.
    pub(crate) fn free(&self) -> Option<LeaseSlot> {
        self.states
            .iter()
            .position(|state| *state == State::Free)
            .map(LeaseSlot)
    }

    /// Returns whether a sync would free one.
    pub(crate) fn has_covered(&self) -> bool {
        self.states
            .iter()
            .any(|state| matches!(state, State::Covered { .. }))
    }

    pub(crate) fn hold(&mut self, slot: LeaseSlot, content: Vec<u8>) {
        self.set(slot, State::Held(content));
    }

    /// It is emptied on disk, and may be used at once. Returns what was in it.
    pub(crate) fn take(&mut self, slot: LeaseSlot) -> Option<Vec<u8>> {
        let state = self.states.get_mut(slot.0)?;
        match std::mem::take(state) {
            State::Held(content) | State::Covered { content, .. } => Some(content),
            State::Free => None,
        }
    }

    /// The lease is done in the commit with that sequence.
    pub(crate) fn cover(&mut self, slot: LeaseSlot, by: u64) {
        if let Some(state) = self.states.get_mut(slot.0)
            && let State::Held(content) = std::mem::take(state)
        {
            *state = State::Covered { by, content };
        }
    }

    /// Commits up to that sequence are durable.
    pub(crate) fn settle(&mut self, durable: u64) {
        for state in &mut self.states {
            if matches!(state, State::Covered { by, .. } if *by <= durable) {
                *state = State::Free;
            }
        }
    }

    /// The contents of each slot that must not be lost; `None`: it is free.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (usize, Option<&[u8]>)> {
        self.states
            .iter()
            .enumerate()
            .map(|(slot, state)| match state {
                State::Held(content) | State::Covered { content, .. } => {
                    (slot, Some(content.as_slice()))
                }
                State::Free => (slot, None),
            })
    }

    fn set(&mut self, slot: LeaseSlot, state: State) {
        if let Some(place) = self.states.get_mut(slot.0) {
            *place = state;
        }
    }
}
