//! The model: what the queue was given and what it answered, and so what it must, may and must not
//! hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use replayq::{Flush, ItemId, ItemRange, LeaseId};

use crate::setup::{End, Mode};

/// Whether something holds after a kill, after a power loss.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub(crate) struct Survives {
    pub(crate) kill: bool,
    pub(crate) power_loss: bool,
}

impl Survives {
    const ALL: Self = Self {
        kill: true,
        power_loss: true,
    };

    fn in_mode(mode: Mode) -> Self {
        Self {
            kill: mode.keeps(End::Kill),
            power_loss: mode.keeps(End::PowerLoss),
        }
    }

    fn has(self, end: End, mode: Mode) -> bool {
        match end {
            End::Close => mode.keeps(End::Close),
            End::Kill => self.kill,
            End::PowerLoss => self.power_loss,
        }
    }
}

/// Where an item is.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum State {
    Waiting,
    Leased(LeaseId),
    /// Acked. It may come back after ends that the ack does not survive.
    Done(Survives),
    /// Its append failed or was cut short: it is not there, and may be after a restart.
    InDoubt,
    /// It was not there when the queue was opened: never again.
    Lost,
}

#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: Option<ItemId>,
    pub(crate) payload: Bytes,
    pub(crate) state: State,
    pub(crate) survives: Survives,
}

#[derive(Clone, Debug)]
pub(crate) struct KnownLease {
    pub(crate) id: LeaseId,
    pub(crate) items: ItemRange,
    /// The last one that was answered.
    pub(crate) tag: Option<Bytes>,
    pub(crate) tag_survives: Survives,
    /// Writing, changing or voiding its record failed or was cut short.
    pub(crate) is_in_doubt: bool,
}

/// What was found after opening: all items that are there, and the leases.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub(crate) struct Image {
    pub(crate) waiting: Vec<(ItemId, Bytes)>,
    pub(crate) leases: Vec<ImageLease>,
    pub(crate) commit_tag: Bytes,
}

#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct ImageLease {
    pub(crate) id: LeaseId,
    pub(crate) items: ItemRange,
    pub(crate) tag: Bytes,
    pub(crate) open: Vec<(ItemId, Bytes)>,
}

impl Image {
    /// All items in the order of their ids.
    pub(crate) fn items(&self) -> Vec<(ItemId, Bytes)> {
        let leased = self.leases.iter().flat_map(|lease| &lease.open);
        let mut all: Vec<(ItemId, Bytes)> = leased.chain(&self.waiting).cloned().collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    pub(crate) mode: Mode,
    /// By serial number, which is the order of appending.
    pub(crate) items: BTreeMap<u64, Known>,
    pub(crate) leases: Vec<KnownLease>,
    /// Every lease record that was ever written, or may have been, by its tag; none: with
    /// boundaries that were never answered.
    history: BTreeMap<Bytes, Option<ItemRange>>,
    pub(crate) commit_tag: Bytes,
    commit_tag_is_in_doubt: bool,
    commit_tags: Vec<Bytes>,
    pub(crate) highest_id: u64,
    next_serial: u64,
    next_tag: u64,
}

impl Oracle {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            items: BTreeMap::new(),
            leases: Vec::new(),
            history: BTreeMap::new(),
            commit_tag: Bytes::new(),
            commit_tag_is_in_doubt: false,
            commit_tags: vec![Bytes::new()],
            highest_id: 0,
            next_serial: 1,
            next_tag: 1,
        }
    }

    pub(crate) fn new_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    pub(crate) fn new_tag(&mut self) -> Bytes {
        self.next_tag += 1;
        Bytes::from(format!("tag {}", self.next_tag - 1))
    }

    /// Items are about to be appended.
    pub(crate) fn begin_append(&mut self, payloads: &[(u64, Bytes)]) {
        for (serial, payload) in payloads {
            self.items.insert(
                *serial,
                Known {
                    id: None,
                    payload: payload.clone(),
                    state: State::InDoubt,
                    survives: Survives::default(),
                },
            );
        }
    }

    /// The append was answered.
    pub(crate) fn end_append(&mut self, payloads: &[(u64, Bytes)], items: ItemRange) {
        assert_eq!(items.span(), payloads.len() as u64, "an id for each item");
        assert!(
            items.first.0 > self.highest_id,
            "ids are never reused: {items} after {}",
            self.highest_id
        );
        self.highest_id = items.last.0;
        let survives = Survives::in_mode(self.mode);
        for ((serial, _), id) in payloads.iter().zip(items.first.0..) {
            let known = self.items.get_mut(serial).expect("begun");
            (known.id, known.state, known.survives) = (Some(ItemId(id)), State::Waiting, survives);
        }
    }

    /// The append failed for good: its items will never be there.
    pub(crate) fn refuse_append(&mut self, payloads: &[(u64, Bytes)]) {
        for (serial, _) in payloads {
            self.items.remove(serial);
        }
    }

    /// Waiting items in the order of their ids.
    pub(crate) fn waiting(&self) -> Vec<(ItemId, Bytes)> {
        self.in_state(|state| state == State::Waiting)
    }

    /// The open items of a lease.
    pub(crate) fn open_items(&self, lease: LeaseId) -> Vec<(ItemId, Bytes)> {
        self.in_state(|state| state == State::Leased(lease))
    }

    fn in_state(&self, is_wanted: impl Fn(State) -> bool) -> Vec<(ItemId, Bytes)> {
        let known = self.items.values().filter(|known| is_wanted(known.state));
        known
            .filter_map(|known| Some((known.id?, known.payload.clone())))
            .collect()
    }

    /// A lease was handed out.
    pub(crate) fn lease(&mut self, id: LeaseId, items: ItemRange, tag: Option<Bytes>) {
        assert!(
            self.leases
                .iter()
                .all(|lease| lease.items.last < items.first || items.last < lease.items.first),
            "the lease of {items} overlaps another"
        );
        for known in self.items.values_mut() {
            if known.state == State::Waiting && known.id.is_some_and(|id| items.contains(id)) {
                known.state = State::Leased(id);
            }
        }
        let tag_survives = if tag.is_some() {
            Survives::in_mode(self.mode)
        } else {
            Survives::default()
        };
        self.leases.push(KnownLease {
            id,
            items,
            tag,
            tag_survives,
            is_in_doubt: false,
        });
    }

    /// A lease record is about to be written.
    pub(crate) fn begin_tag(&mut self, items: ItemRange, tag: &Bytes) {
        self.history.insert(tag.clone(), Some(items));
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.items == items) {
            lease.is_in_doubt = true;
        }
    }

    /// Items are about to be appended with a lease, whose boundaries show only in the answer.
    pub(crate) fn begin_leased_append(&mut self, tag: &Bytes) {
        self.history.insert(tag.clone(), None);
    }

    pub(crate) fn end_tag(&mut self, id: LeaseId, tag: Bytes) {
        let survives = Survives::in_mode(self.mode);
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.id == id) {
            lease.tag = Some(tag);
            lease.tag_survives = survives;
            lease.is_in_doubt = false;
        }
    }

    pub(crate) fn begin_release(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.id == id) {
            lease.is_in_doubt = true;
        }
    }

    pub(crate) fn end_release(&mut self, id: LeaseId) {
        self.leases.retain(|lease| lease.id != id);
        for known in self.items.values_mut() {
            if known.state == State::Leased(id) {
                known.state = State::Waiting;
            }
        }
    }

    /// Items of the lease are done in this life, whatever happens next.
    pub(crate) fn begin_ack(&mut self, id: LeaseId, items: ItemRange) {
        for known in self.items.values_mut() {
            if known.state == State::Leased(id) && known.id.is_some_and(|id| items.contains(id)) {
                known.state = State::Done(Survives::default());
            }
        }
        if self.open_items(id).is_empty() {
            self.leases.retain(|lease| lease.id != id);
        }
    }

    /// An ack was answered, and so all before it count too.
    pub(crate) fn end_ack(&mut self) {
        let mode = self.mode;
        self.settle_acks(|survives| Survives {
            kill: true,
            power_loss: survives.power_loss || mode == Mode::OffloadVolatile,
        });
        self.commit_tag_is_in_doubt = false;
    }

    fn settle_acks(&mut self, change: impl Fn(Survives) -> Survives) {
        for known in self.items.values_mut() {
            if let State::Done(survives) = &mut known.state {
                *survives = change(*survives);
            }
        }
    }

    pub(crate) fn begin_commit_tag(&mut self, tag: &Bytes) {
        self.commit_tag = tag.clone();
        self.commit_tags.push(tag.clone());
        self.commit_tag_is_in_doubt = true;
    }

    /// Everything answered survives what the level names.
    pub(crate) fn end_flush(&mut self, level: Flush) {
        if !self.mode.has_another_life() {
            return;
        }
        let change = |survives: Survives| match level {
            Flush::Os => Survives {
                kill: true,
                ..survives
            },
            _ => Survives::ALL,
        };
        for known in self.items.values_mut() {
            if matches!(known.state, State::Waiting | State::Leased(_)) {
                known.survives = change(known.survives);
            }
        }
        self.settle_acks(change);
        self.commit_tag_is_in_doubt = false;
        for lease in &mut self.leases {
            if lease.tag.is_some() {
                lease.tag_survives = change(lease.tag_survives);
            }
        }
    }

    /// The queue was closed cleanly.
    pub(crate) fn end_close(&mut self) {
        self.end_ack();
        if self.mode == Mode::Fsync {
            self.settle_acks(|_| Survives::ALL);
        }
    }

    /// Compares what was found with what must and may be there, and goes on with what is.
    pub(crate) fn reopen(&mut self, image: &Image, end: End) {
        self.check(image, end);
        self.adopt(image, end);
    }

    /// Opening went through: what was read is durable where that is promised.
    pub(crate) fn end_open(&mut self) {
        match self.mode {
            Mode::Fsync => self.end_flush(Flush::Disk),
            // The acks are in the control file, which every open makes durable.
            Mode::Os => self.settle_acks(|_| Survives::ALL),
            _ => {}
        }
    }

    fn check(&self, image: &Image, end: End) {
        let mut last_serial = 0;
        let mut last_id = 0;
        let mut found = BTreeMap::new();
        for (id, payload) in image.items() {
            let serial = crate::setup::serial(&payload);
            let known = self
                .items
                .get(&serial)
                .unwrap_or_else(|| panic!("{id} was never appended, or refused: {serial}"));
            assert_eq!(known.payload, payload, "item {id} is altered");
            assert!(
                known.id.is_none_or(|known| known == id),
                "item {id} has another id"
            );
            assert!(
                id.0 > last_id && serial > last_serial,
                "item {id} is out of order"
            );
            (last_id, last_serial) = (id.0, serial);
            match known.state {
                State::Done(survives) => {
                    assert!(
                        end != End::Close && !survives.has(end, self.mode),
                        "acked item {id} came back after {end:?}"
                    );
                }
                State::Lost => panic!("lost item {id} came back"),
                _ => {}
            }
            found.insert(serial, id);
        }
        for (serial, known) in &self.items {
            let must_be_there = matches!(known.state, State::Waiting | State::Leased(_))
                && known.survives.has(end, self.mode);
            assert!(
                !must_be_there || found.contains_key(serial),
                "item {:?} ({:?}) is lost after {end:?}",
                known.id,
                known.state
            );
        }
        self.check_leases(image, end);
        if end == End::PowerLoss || self.commit_tag_is_in_doubt {
            assert!(
                self.commit_tags.contains(&image.commit_tag),
                "an unknown commit tag"
            );
        } else if self.mode.has_another_life() {
            assert_eq!(image.commit_tag, self.commit_tag, "the commit tag");
        }
    }

    fn check_leases(&self, image: &Image, end: End) {
        for lease in &image.leases {
            assert!(
                self.history
                    .get(&lease.tag)
                    .is_some_and(|items| items.is_none_or(|items| items == lease.items)),
                "a lease that never was: {lease:?}"
            );
            // Only where its items were lost, now or before: that shows when they are read.
            let was_empty = self
                .leases
                .iter()
                .any(|known| known.items == lease.items && self.open_items(known.id).is_empty());
            let may_be_empty = was_empty || !self.mode.keeps(end);
            assert!(
                may_be_empty || !lease.open.is_empty(),
                "a lease of nothing: {lease:?}"
            );
            if end == End::PowerLoss {
                continue;
            }
            let known = self.leases.iter().find(|known| known.items == lease.items);
            match known {
                Some(known) if known.is_in_doubt => {}
                Some(known) => assert_eq!(
                    known.tag.as_ref(),
                    Some(&lease.tag),
                    "another tag of {}",
                    lease.items
                ),
                None => {
                    let is_doubtful = lease.open.iter().all(|(_, payload)| {
                        let serial = crate::setup::serial(payload);
                        match self.items.get(&serial).map(|known| known.state) {
                            Some(State::InDoubt) => true,
                            Some(State::Done(survives)) => !survives.has(end, self.mode),
                            _ => false,
                        }
                    });
                    let has_doubt = self
                        .items
                        .values()
                        .any(|known| known.state == State::InDoubt);
                    assert!(
                        is_doubtful || has_doubt,
                        "a lease that is over came back: {lease:?}"
                    );
                }
            }
        }
        for known in &self.leases {
            let Some(tag) = &known.tag else { continue };
            if !known.tag_survives.has(end, self.mode) || known.is_in_doubt {
                continue;
            }
            let back = image.leases.iter().find(|lease| lease.items == known.items);
            let back = back.unwrap_or_else(|| panic!("the lease of {} is lost", known.items));
            assert_eq!(&back.tag, tag, "the tag of the lease of {}", known.items);
        }
    }

    fn adopt(&mut self, image: &Image, end: End) {
        // What a power loss has left lies on the disk itself.
        let is_settled = end == End::PowerLoss;
        self.leases.clear();
        if !self.mode.keeps(end) {
            // Which ids were used is forgotten with the items.
            self.highest_id = 0;
        }
        for known in self.items.values_mut() {
            known.state = match known.state {
                State::Done(survives) => State::Done(Survives {
                    kill: true,
                    power_loss: is_settled || survives.power_loss,
                }),
                _ => State::Lost,
            };
        }
        let in_mode = Survives::in_mode(self.mode);
        let mut adopt = |items: &[(ItemId, Bytes)], state: State| {
            for (id, payload) in items {
                let known = self
                    .items
                    .get_mut(&crate::setup::serial(payload))
                    .expect("checked");
                let power_loss = is_settled || known.survives.power_loss;
                known.survives = Survives {
                    kill: in_mode.kill,
                    power_loss: in_mode.power_loss && power_loss,
                };
                (known.id, known.state) = (Some(*id), state);
                self.highest_id = self.highest_id.max(id.0);
            }
        };
        adopt(&image.waiting, State::Waiting);
        for lease in &image.leases {
            adopt(&lease.open, State::Leased(lease.id));
        }
        for lease in &image.leases {
            self.leases.push(KnownLease {
                id: lease.id,
                items: lease.items,
                tag: Some(lease.tag.clone()),
                tag_survives: Survives {
                    power_loss: false,
                    ..in_mode
                },
                is_in_doubt: false,
            });
        }
        self.commit_tag = image.commit_tag.clone();
        self.commit_tag_is_in_doubt = false;
    }
}
