//! Results that the threads of a scenario got, compared with the queue afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use replayq_interleavings::vfs::sim::{Fate, SimVfs};
use replayq_interleavings::{Item, ItemId, ItemRange, Lease, LeaseId, PopLimits, Queue};

/// An answered tag, and the ids of all items that the lease had then.
#[derive(Clone, Debug)]
struct Tagged {
    ids: Vec<u64>,
    tag: Bytes,
}

/// Calls that have returned so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// Serial numbers by ids of the items whose append was answered.
    appended: BTreeMap<u64, u64>,
    /// Serial numbers of which an append was begun.
    begun: u64,
    /// Items that a thread has in a lease.
    leased: BTreeMap<u64, LeaseId>,
    /// Items of which an ack was begun.
    acking: BTreeSet<u64>,
    /// Items of which an ack was answered.
    acked: BTreeSet<u64>,
    /// The last answered tag of each lease of which no end was begun.
    tagged: BTreeMap<LeaseId, Tagged>,
    /// The last answered tag of each lease of which some items were about to be acked: as long as
    /// such an ack is not durable they come back with the tag, or not at all.
    ending: BTreeMap<LeaseId, Tagged>,
    /// Leases that may or may not have another tag than that.
    retagging: BTreeSet<LeaseId>,
    /// Serial numbers of items whose append was refused.
    refused: BTreeSet<u64>,
    is_closing: bool,
    /// Calls that had returned when the last flush to the disk that has returned began.
    synced: Option<Box<Self>>,
}

/// A moment: the disk, and what had been answered.
pub(crate) type Moment = (SimVfs, Answers);

/// Keeps the answers of all threads. Its lock is never held where another thread may go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    answers: Arc<Mutex<Answers>>,
    moments: Arc<Mutex<Vec<Moment>>>,
    losses: Arc<Mutex<Vec<Moment>>>,
}

/// Compares the end that a disk image shows with the calls that have returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeps {
    pub(crate) items: bool,
    /// Nothing that was acked comes back.
    pub(crate) acks: bool,
    pub(crate) tags: bool,
}

pub(crate) fn payload(serial: u64, bytes: usize) -> Bytes {
    let mut content = serial.to_le_bytes().to_vec();
    let filler = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    content.extend(filler.into_iter().cycle().take(bytes.saturating_sub(8)));
    Bytes::from(content)
}

fn serial(item: &Item) -> u64 {
    let serial = u64::from_le_bytes(*item.payload.first_chunk().unwrap());
    assert_eq!(item.payload, payload(serial, item.payload.len()), "altered");
    serial
}

impl Oracle {
    fn answers<T>(&self, look: impl FnOnce(&mut Answers) -> T) -> T {
        look(&mut self.answers.lock().unwrap())
    }

    /// New payloads.
    pub(crate) fn payloads(&self, count: u64, bytes: usize) -> Vec<Bytes> {
        self.answers(|answers| {
            let first = answers.begun + 1;
            answers.begun += count;
            (first..first + count)
                .map(|serial| payload(serial, bytes))
                .collect()
        })
    }

    pub(crate) fn appended(&self, payloads: &[Bytes], items: ItemRange) {
        assert_eq!(items.last.0 - items.first.0 + 1, payloads.len() as u64);
        self.answers(|answers| {
            for (id, payload) in (items.first.0..).zip(payloads) {
                let serial = u64::from_le_bytes(*payload.first_chunk().unwrap());
                let before = answers.appended.insert(id, serial);
                assert!(before.is_none(), "{id} was given twice");
            }
        });
    }

    pub(crate) fn not_appended(&self, payloads: &[Bytes]) {
        self.answers(|answers| {
            let serials = payloads
                .iter()
                .map(|payload| u64::from_le_bytes(*payload.first_chunk().unwrap()));
            answers.refused.extend(serials);
        });
    }

    /// A lease was handed out.
    pub(crate) fn leased(&self, lease: &Lease) {
        self.answers(|answers| {
            let mut last = 0;
            for item in &lease.items {
                let id = item.id.0;
                assert!(id > last, "{lease:?} is out of order");
                last = id;
                let serial = serial(item);
                assert!(serial <= answers.begun, "{id} is invented");
                assert!(!answers.refused.contains(&serial), "{id} was refused");
                if let Some(known) = answers.appended.get(&id) {
                    assert_eq!(serial, *known, "{id} is another item");
                }
                assert!(
                    !answers.acking.contains(&id),
                    "{id} is in a lease after its ack"
                );
                let other = answers.leased.insert(id, lease.id);
                assert_eq!(other, None, "{id} is in two leases");
            }
        });
    }

    pub(crate) fn releasing(&self, lease: &Lease) {
        self.answers(|answers| {
            answers.tagged.remove(&lease.id);
            answers.ending.remove(&lease.id);
            for item in &lease.items {
                answers.leased.remove(&item.id.0);
            }
        });
    }

    /// The release failed: the lease is as it was, but for its tag, of which nothing is known any
    /// more.
    pub(crate) fn not_released(&self, lease: &Lease) {
        self.leased(lease);
    }

    pub(crate) fn acking(&self, lease: &Lease, items: &[Item]) {
        self.answers(|answers| {
            let tagged = answers.tagged.remove(&lease.id);
            answers
                .ending
                .extend(tagged.map(|tagged| (lease.id, tagged)));
            for item in items {
                assert_eq!(answers.leased.remove(&item.id.0), Some(lease.id));
                assert!(answers.acking.insert(item.id.0));
            }
        });
    }

    pub(crate) fn acked(&self, items: &[Item]) {
        self.answers(|answers| answers.acked.extend(items.iter().map(|item| item.id.0)));
    }

    pub(crate) fn tagging(&self, lease: &Lease) {
        self.answers(|answers| answers.retagging.insert(lease.id));
    }

    pub(crate) fn tagged(&self, lease: &Lease, tag: Bytes) {
        self.answers(|answers| {
            answers.retagging.remove(&lease.id);
            match answers.ending.get_mut(&lease.id) {
                // What was acked of it may come back with the new tag.
                Some(ending) => ending.tag = tag,
                None => {
                    let ids = ids_of(lease);
                    answers.tagged.insert(lease.id, Tagged { ids, tag });
                }
            }
        });
    }

    pub(crate) fn closing(&self) {
        self.answers(|answers| answers.is_closing = true);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.answers(|answers| answers.is_closing)
    }

    /// Remembers the disk as a kill at this moment would leave it.
    pub(crate) fn remember(&self, sim: &SimVfs) {
        let moment = (sim.copy(), self.answers(|answers| answers.clone()));
        self.moments.lock().unwrap().push(moment);
    }

    /// Remembers some of the disks that a power loss at this moment might leave.
    pub(crate) fn lose_power(&self, sim: &SimVfs, images: usize) {
        for _ in 0..images {
            let moment = (power_loss(sim), self.answers(|answers| answers.clone()));
            self.losses.lock().unwrap().push(moment);
        }
    }

    pub(crate) fn losses(&self) -> Vec<Moment> {
        std::mem::take(&mut self.losses.lock().unwrap())
    }

    /// A flush to the disk was answered that began at that moment.
    pub(crate) fn synced(&self, mut then: Answers) {
        then.synced = None;
        self.answers(|answers| answers.synced = Some(Box::new(then)));
    }

    pub(crate) fn moments(&self) -> Vec<Moment> {
        std::mem::take(&mut self.moments.lock().unwrap())
    }

    /// The answers at this moment.
    pub(crate) fn now(&self) -> Answers {
        self.answers(|answers| answers.clone())
    }

    /// Empties the queue: each item that was answered is waiting, leased or done, and no other is
    /// there.
    pub(crate) fn drain(&self, queue: &Queue) {
        let mut last = 0;
        while let Some(lease) = queue.pop(PopLimits::items(3)).unwrap() {
            self.leased(&lease);
            for item in &lease.items {
                assert!(item.id.0 > last, "{} is out of order", item.id);
                last = item.id.0;
            }
        }
        let stats = queue.stats();
        assert_eq!((stats.waiting_items, stats.waiting_bytes), (0, 0));
        self.answers(|answers| {
            for id in answers.appended.keys() {
                assert!(
                    answers.leased.contains_key(id) || answers.acking.contains(id),
                    "{id} is lost"
                );
            }
            assert_eq!(stats.leased_items, answers.leased.len() as u64);
        });
    }
}

/// One of the disks that a power loss may leave, another one each time.
pub(crate) fn power_loss(sim: &SimVfs) -> SimVfs {
    let mut dice = DICE.fetch_add(1, Ordering::Relaxed);
    let mut below = |limit: usize| {
        dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (dice ^ dice >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) >> 33).unwrap() % limit
    };
    let names = below(sim.pending_names() + 1);
    let style = below(4);
    sim.after_power_loss(names, |_, write| match (style, write.bytes) {
        (0, _) => Fate::Lost,
        (1, _) => Fate::Kept,
        (_, Some(bytes)) if below(3) == 0 => {
            let start = below(bytes + 1);
            Fate::Part(start, start + below(bytes - start + 1))
        }
        _ if below(2) == 0 => Fate::Lost,
        _ => Fate::Kept,
    })
}

static DICE: AtomicU64 = AtomicU64::new(0x5eed << 32);

impl Answers {
    /// After a power loss: what the last flush had made durable, and what was answered since.
    pub(crate) fn check_flushed(&self, queue: &Queue, leases: Vec<LeaseId>) {
        let nothing = Self::default();
        let synced = self.synced.as_deref().unwrap_or(&nothing);
        let kept = Self {
            appended: synced.appended.clone(),
            acked: synced.acked.clone(),
            acking: self.acking.clone(),
            begun: self.begun,
            refused: self.refused.clone(),
            ..Self::default()
        };
        let keeps = Keeps {
            items: true,
            acks: true,
            tags: false,
        };
        kept.check(queue, leases, keeps);
    }

    /// One more item was answered.
    pub(crate) fn append(&mut self, queue: &Queue) {
        self.begun += 1;
        let id = queue.append_one(payload(self.begun, 100)).unwrap();
        assert_eq!(self.appended.insert(id.0, self.begun), None);
    }

    /// Compares a queue, as it was opened again after this moment, with what had been answered.
    pub(crate) fn check(&self, queue: &Queue, leases: Vec<LeaseId>, keeps: Keeps) {
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        let note = |items: &[Item], found: &mut BTreeMap<u64, u64>| {
            for item in items {
                let (id, serial) = (item.id.0, serial(item));
                assert!(serial <= self.begun, "{id} is invented");
                assert!(!self.refused.contains(&serial), "{id} was refused");
                if let Some(known) = self.appended.get(&id) {
                    assert_eq!(serial, *known, "{id} is another item");
                }
                assert!(
                    !keeps.acks || !self.acked.contains(&id),
                    "{id} is there after its answered ack"
                );
                assert_eq!(found.insert(id, serial), None, "{id} is there twice");
            }
        };
        let mut tags = Vec::new();
        for id in leases {
            let lease = queue.read_lease(id).unwrap();
            note(&lease.items, &mut found);
            if keeps.tags {
                self.check_ending(&lease);
            }
            // What was acked before it was tagged may come back with it.
            tags.push((self.not_acking(ids_of(&lease)), lease.tag));
        }
        let mut last = 0;
        while let Some(lease) = queue.pop(PopLimits::items(2)).unwrap() {
            note(&lease.items, &mut found);
            for item in &lease.items {
                assert!(
                    !keeps.tags || self.ending_with(item.id).is_none(),
                    "{} waits after an ack that did not last, and had a tag",
                    item.id
                );
                assert!(item.id.0 > last, "{} is out of order", item.id);
                last = item.id.0;
            }
        }
        let serials: BTreeSet<u64> = found.values().copied().collect();
        assert_eq!(serials.len(), found.len(), "a payload is there twice");
        if keeps.items {
            for id in self.appended.keys() {
                assert!(
                    found.contains_key(id) || self.acking.contains(id),
                    "{id} is lost"
                );
            }
        }
        if keeps.tags {
            for (lease, Tagged { ids, tag }) in &self.tagged {
                let is_there = tags.iter().any(|(found_ids, found)| {
                    found_ids == ids
                        && (found.as_ref() == Some(tag) || self.retagging.contains(lease))
                });
                assert!(
                    is_there,
                    "{lease:?} of {ids:?} has lost its tag, or items: {tags:?}"
                );
            }
        }
    }

    /// The lease, some of whose items were about to be acked, that had the item.
    fn ending_with(&self, id: ItemId) -> Option<(&LeaseId, &Tagged)> {
        let mut ending = self.ending.iter();
        ending.find(|(_, tagged)| tagged.ids.contains(&id.0))
    }

    /// Those of which no ack was begun.
    fn not_acking(&self, mut ids: Vec<u64>) -> Vec<u64> {
        ids.retain(|id| !self.acking.contains(id));
        ids
    }

    /// A lease that comes back although an ack of some of its items was begun has the tag that it
    /// had, no items of others, and all of those that were not about to be acked.
    fn check_ending(&self, lease: &Lease) {
        let mut endings = lease.items.iter();
        let Some((id, tagged)) = endings.find_map(|item| self.ending_with(item.id)) else {
            return;
        };
        assert_eq!(
            self.not_acking(ids_of(lease)),
            self.not_acking(tagged.ids.clone()),
            "{lease:?} is back with other items than {tagged:?}"
        );
        assert!(
            lease.tag.as_ref() == Some(&tagged.tag) || self.retagging.contains(id),
            "{lease:?} is back and had {tagged:?}"
        );
    }
}

/// Ids of all items of a lease.
fn ids_of(lease: &Lease) -> Vec<u64> {
    lease.items.iter().map(|item| item.id.0).collect()
}
