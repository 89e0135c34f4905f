//! Runs programs on a real queue and on the model, and compares.

use bytes::Bytes;
use replayq::vfs::sim::{Fate, SimVfs};
use replayq::{
    AckError, AppendError, BytesLimit, FlushError, Item, ItemId, ItemRange, Lease, LeaseError,
    LeaseId, OpenError, PopLimits, Queue, ReadError,
};

use crate::oracle::{Image, ImageLease, Oracle};
use crate::program::Op;
use crate::setup::{End, Mode, Setup, payload};

/// A queue in a simulated file system, and what the model says of it.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) setup: Setup,
    pub(crate) vfs: SimVfs,
    pub(crate) oracle: Oracle,
    /// None between a failed reopening and the next.
    pub(crate) queue: Option<Queue>,
    /// Reads may fail without an error: a pop answers with what was in memory then.
    pub(crate) has_faults: bool,
    /// After a power loss that the mode does not survive, or damage, the counts are right only when
    /// everything was read.
    pub(crate) is_sure: bool,
    /// Operations that were answered with an I/O error.
    pub(crate) failures: u64,
}

fn pairs(items: &[Item]) -> Vec<(ItemId, Bytes)> {
    items
        .iter()
        .map(|item| (item.id, item.payload.clone()))
        .collect()
}

/// Opens the queue in a copy of the file system and looks at everything that is in it.
pub(crate) fn look(setup: &Setup, vfs: &SimVfs) -> Image {
    let (queue, recovery) = setup.open(&vfs.copy()).expect("a sound directory opens");
    let counted = queue.count() + queue.stats().leased_items;
    let mut image = Image {
        commit_tag: recovery.commit_tag.clone(),
        ..Image::default()
    };
    for lease in &recovery.leases {
        let read = queue.read_lease(lease.id).expect("leases can be read");
        assert_eq!(read.tag.as_ref(), Some(&lease.tag));
        image.leases.push(ImageLease {
            id: lease.id,
            items: lease.items,
            tag: lease.tag.clone(),
            open: pairs(&read.items),
        });
        if queue.damage().is_empty() {
            assert_eq!(lease.open_items, read.items.len() as u64);
        }
    }
    while let Some(lease) = queue.pop(PopLimits::items(3)).expect("items can be read") {
        image.waiting.extend(pairs(&lease.items));
    }
    let items = image.items();
    if queue.damage().is_empty() {
        assert_eq!(counted, recovery.items, "{recovery:?}");
        let bytes: usize = items.iter().map(|(_, payload)| payload.len()).sum();
        assert_eq!(
            (recovery.items, recovery.bytes),
            (items.len() as u64, bytes as u64)
        );
        if let (Some((first, _)), Some((last, _)), Some(ids)) =
            (items.first(), items.last(), recovery.ids)
        {
            assert!(
                ids.first <= *first && *last <= ids.last,
                "{ids} for {first} to {last}"
            );
        }
    }
    image
}

impl Driver {
    pub(crate) fn start(setup: Setup, vfs: SimVfs) -> Result<Self, OpenError> {
        let (queue, _) = setup.open(&vfs)?;
        Ok(Self {
            setup,
            vfs,
            oracle: Oracle::new(setup.mode),
            queue: Some(queue),
            has_faults: false,
            is_sure: true,
            failures: 0,
        })
    }

    /// Runs all operations, or up to the simulated end of the process.
    pub(crate) fn run(&mut self, program: &[Op]) {
        for op in program {
            self.step(op);
            if self.vfs.is_crashed() {
                return;
            }
        }
    }

    /// Runs one operation.
    pub(crate) fn step(&mut self, op: &Op) {
        if self.queue.is_none() {
            self.open_again(End::Kill);
        }
        let Some(queue) = self.queue.take() else {
            return;
        };
        match op {
            Op::Append { count, bytes } => self.append(&queue, *count, *bytes),
            Op::AppendLeased {
                count,
                bytes,
                with_waiting,
            } => self.append_leased(&queue, *count, *bytes, *with_waiting),
            Op::Pop { items } => self.pop(&queue, BytesLimit::AtMost(u64::MAX), *items),
            Op::PopBytes { at_most } => self.pop(&queue, BytesLimit::AtMost(*at_most), usize::MAX),
            Op::PopAtLeast { bytes } => self.pop(&queue, BytesLimit::AtLeast(*bytes), usize::MAX),
            Op::Peek { items } => self.peek(&queue, *items),
            Op::Ack { lease } => self.ack(&queue, *lease, false),
            Op::AckWithTag { lease } => self.ack(&queue, *lease, true),
            Op::AckSome { lease, skip, count } => self.ack_some(&queue, *lease, *skip, *count),
            Op::Release { lease } => self.release(&queue, *lease),
            Op::Tag { lease } => self.tag(&queue, *lease),
            Op::ReadLease { lease } => self.read_lease(&queue, *lease),
            Op::CommitTag => {
                let tag = self.oracle.new_tag();
                self.oracle.begin_commit_tag(&tag);
                let result = queue.set_commit_tag(tag);
                self.settle_ack(result);
            }
            Op::Flush { level } => match queue.flush(*level) {
                Ok(()) => self.oracle.end_flush(*level),
                Err(FlushError::Io(_)) => self.failures += 1,
                Err(error) => panic!("{error}"),
            },
            Op::Reopen if self.setup.mode != Mode::Memory => {
                let mut closed = queue.close();
                if closed.is_err() && !self.vfs.is_crashed() {
                    // It is open still, and goes on.
                    self.failures += 1;
                    self.compare(&queue);
                    closed = queue.close();
                }
                let end = match closed {
                    Ok(()) => {
                        self.oracle.end_close();
                        End::Close
                    }
                    Err(FlushError::Io(_)) => {
                        self.failures += 1;
                        End::Kill
                    }
                    Err(error) => panic!("{error}"),
                };
                if end == End::Close {
                    queue.close().expect("closing twice is no error");
                }
                drop(queue);
                return self.open_again(end);
            }
            Op::Kill if self.setup.mode != Mode::Memory => {
                drop(queue);
                return self.open_again(End::Kill);
            }
            Op::Reopen | Op::Kill => {}
        }
        if !self.vfs.is_crashed() {
            self.compare(&queue);
        }
        self.queue = Some(queue);
    }

    /// The counts that the queue shows are those of the model.
    fn compare(&self, queue: &Queue) {
        let waiting = self.oracle.waiting();
        let bytes: usize = waiting.iter().map(|(_, payload)| payload.len()).sum();
        if self.is_sure {
            assert_eq!(queue.count(), waiting.len() as u64, "waiting items");
            assert_eq!(queue.bytes(), bytes as u64, "waiting bytes");
        }
        let leases = &self.oracle.leases;
        let leased: usize = leases
            .iter()
            .map(|lease| self.oracle.open_items(lease.id).len())
            .sum();
        let stats = queue.stats();
        if self.is_sure {
            assert_eq!(stats.leased_items, leased as u64, "leased items");
        }
        assert_eq!(stats.leases, leases.len() as u64, "leases");
    }

    fn open_again(&mut self, end: End) {
        if self.vfs.is_crashed() {
            return;
        }
        self.oracle_reopens(end);
        match self.setup.open(&self.vfs) {
            Ok((queue, recovery)) => {
                for (lease, known) in recovery.leases.iter().zip(&mut self.oracle.leases) {
                    assert_eq!((lease.id, lease.items), (known.id, known.items));
                }
                // At level Os an open goes through although the control file could not be synced.
                if !(self.has_faults && self.setup.mode == Mode::Os) {
                    self.oracle.end_open();
                }
                self.queue = Some(queue);
                if !self.vfs.is_crashed()
                    && let Some(queue) = &self.queue
                {
                    self.compare(queue);
                }
            }
            Err(OpenError::Io(_)) => self.failures += 1,
            Err(error) => panic!("{error}"),
        }
    }

    /// Tells the model what is there now.
    pub(crate) fn oracle_reopens(&mut self, end: End) {
        let image = look(&self.setup, &self.vfs);
        self.oracle.reopen(&image, end);
        assert_eq!(
            look(&self.setup, &self.vfs),
            image,
            "looking changes nothing"
        );
    }

    /// What would be there if the process ended now.
    pub(crate) fn check_copy(&self, end: End) {
        self.oracle
            .clone()
            .reopen(&look(&self.setup, &self.vfs), end);
    }

    /// What would be there if the power went now and took everything that was not durable.
    pub(crate) fn check_power_loss(&self) {
        let after = self.vfs.after_power_loss(0, |_, _| Fate::Lost);
        let image = look(&self.setup, &after);
        self.oracle.clone().reopen(&image, End::PowerLoss);
    }

    fn new_payloads(&mut self, count: usize, bytes: usize) -> Vec<(u64, Bytes)> {
        let payloads: Vec<(u64, Bytes)> = (0..count)
            .map(|_| {
                let serial = self.oracle.new_serial();
                (serial, payload(serial, bytes))
            })
            .collect();
        self.oracle.begin_append(&payloads);
        payloads
    }

    fn append(&mut self, queue: &Queue, count: usize, bytes: usize) {
        let payloads = self.new_payloads(count, bytes);
        let content: Vec<Bytes> = payloads
            .iter()
            .map(|(_, payload)| payload.clone())
            .collect();
        match queue.append(&content) {
            Ok(items) => self.oracle.end_append(&payloads, items),
            Err(error) => self.settle_append(&payloads, &error),
        }
    }

    fn settle_append(&mut self, payloads: &[(u64, Bytes)], error: &AppendError) {
        match error {
            AppendError::NotAppended(_) if self.vfs.is_crashed() => {}
            AppendError::NotAppended(_) => {
                self.failures += 1;
                self.oracle.refuse_append(payloads);
            }
            AppendError::InDoubt(_) => self.failures += 1,
            AppendError::Lease(LeaseError::NotAtFront) => self.oracle.refuse_append(payloads),
            error => panic!("{error}"),
        }
    }

    fn append_leased(&mut self, queue: &Queue, count: usize, bytes: usize, with_waiting: bool) {
        let waiting = self.oracle.waiting();
        let oldest = waiting.first().map(|(id, _)| *id);
        let from = oldest.filter(|_| with_waiting);
        let payloads = self.new_payloads(count, bytes);
        let content: Vec<Bytes> = payloads
            .iter()
            .map(|(_, payload)| payload.clone())
            .collect();
        let tag = self.oracle.new_tag();
        self.oracle.begin_leased_append(&tag);
        match queue.append_leased(&content, from, tag.clone()) {
            Ok(leased) => {
                assert!(
                    from.is_some() || waiting.is_empty(),
                    "a lease over what waits"
                );
                self.oracle.end_append(&payloads, leased.items);
                let items = ItemRange {
                    first: from.unwrap_or(leased.items.first),
                    last: leased.items.last,
                };
                self.oracle.lease(leased.lease, items, Some(tag.clone()));
                self.oracle.begin_tag(items, &tag);
                self.oracle.end_tag(leased.lease, tag);
            }
            Err(error) => self.settle_append(&payloads, &error),
        }
    }

    fn pop(&mut self, queue: &Queue, bytes: BytesLimit, max_items: usize) {
        let expected = self.expected_pop(bytes, max_items);
        let limits = PopLimits {
            bytes,
            max_items,
            ..PopLimits::default()
        };
        match queue.pop(limits) {
            Ok(None) => assert!(expected.is_empty(), "nothing instead of {expected:?}"),
            Ok(Some(lease)) => {
                let popped = pairs(&lease.items);
                if !self.has_faults {
                    assert_eq!(popped, expected, "what was popped");
                } else {
                    assert!(expected.starts_with(&popped) && !popped.is_empty());
                }
                self.oracle.lease(lease.id, range(&lease), None);
            }
            Err(ReadError::Io(_)) => self.failures += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn expected_pop(&self, bytes: BytesLimit, max_items: usize) -> Vec<(ItemId, Bytes)> {
        let mut taken: Vec<(ItemId, Bytes)> = Vec::new();
        let mut sum = 0;
        for (id, payload) in self.oracle.waiting() {
            let is_full = match bytes {
                BytesLimit::AtMost(limit) => sum + payload.len() as u64 > limit,
                BytesLimit::AtLeast(limit) => sum >= limit,
            };
            if let Some((last, _)) = taken.last()
                && (is_full || taken.len() >= max_items || self.is_leased_between(*last, id))
            {
                break;
            }
            sum += payload.len() as u64;
            taken.push((id, payload));
        }
        taken
    }

    fn is_leased_between(&self, first: ItemId, last: ItemId) -> bool {
        let mut leases = self.oracle.leases.iter();
        leases.any(|lease| first < lease.items.first && lease.items.first < last)
    }

    fn peek(&mut self, queue: &Queue, items: usize) {
        let expected = self.expected_pop(BytesLimit::AtMost(u64::MAX), items);
        match queue.peek(PopLimits::items(items)) {
            Ok(seen) => {
                let seen = pairs(&seen);
                assert!(expected.starts_with(&seen), "{seen:?} of {expected:?}");
                assert_eq!(seen.is_empty(), expected.is_empty());
            }
            Err(ReadError::Io(_)) => self.failures += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn nth_lease(&self, nth: usize) -> Option<(LeaseId, ItemRange)> {
        let leases = &self.oracle.leases;
        let lease = leases.get(nth.checked_rem(leases.len())?)?;
        Some((lease.id, lease.items))
    }

    fn ack(&mut self, queue: &Queue, nth: usize, with_tag: bool) {
        let Some((id, items)) = self.nth_lease(nth) else {
            return;
        };
        self.oracle.begin_ack(id, items);
        let result = if with_tag {
            let tag = self.oracle.new_tag();
            self.oracle.begin_commit_tag(&tag);
            queue.ack_with_tag(id, tag)
        } else {
            queue.ack(id)
        };
        self.settle_ack(result);
    }

    fn ack_some(&mut self, queue: &Queue, nth: usize, skip: usize, count: usize) {
        let Some((id, _)) = self.nth_lease(nth) else {
            return;
        };
        let open = self.oracle.open_items(id);
        let some: Vec<ItemId> = open
            .iter()
            .map(|(id, _)| *id)
            .skip(skip)
            .take(count)
            .collect();
        let (Some(first), Some(last)) = (some.first(), some.last()) else {
            return;
        };
        let items = ItemRange {
            first: *first,
            last: *last,
        };
        let before = self.oracle.clone();
        self.oracle.begin_ack(id, items);
        let result = queue.ack_items(id, items);
        if let Err(AckError::NotRead(_)) = result {
            self.failures += 1;
            self.oracle = before;
        } else {
            self.settle_ack(result);
        }
    }

    fn settle_ack(&mut self, result: Result<(), AckError>) {
        match result {
            Ok(()) => self.oracle.end_ack(),
            Err(AckError::NotDurable(_)) => self.failures += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn release(&mut self, queue: &Queue, nth: usize) {
        let Some((id, _)) = self.nth_lease(nth) else {
            return;
        };
        let before = self.oracle.clone();
        self.oracle.begin_release(id);
        match queue.release(id) {
            Ok(()) => self.oracle.end_release(id),
            Err(AckError::NotRead(_)) => {
                self.failures += 1;
                self.oracle = before;
            }
            Err(AckError::NotDurable(_)) => self.failures += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn tag(&mut self, queue: &Queue, nth: usize) {
        let Some((id, items)) = self.nth_lease(nth) else {
            return;
        };
        let tag = self.oracle.new_tag();
        self.oracle.begin_tag(items, &tag);
        match queue.tag(id, tag.clone()) {
            Ok(()) => self.oracle.end_tag(id, tag),
            Err(LeaseError::Io(_)) => self.failures += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn read_lease(&mut self, queue: &Queue, nth: usize) {
        let Some((id, _)) = self.nth_lease(nth) else {
            return;
        };
        match queue.read_lease(id) {
            Ok(lease) => assert_eq!(pairs(&lease.items), self.oracle.open_items(id)),
            Err(ReadError::Io(_)) => self.failures += 1,
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes, acks and checks everything that is left, and that nothing comes back then.
    pub(crate) fn drain(&mut self) {
        while !self.oracle.leases.is_empty() {
            self.step(&Op::Release { lease: 0 });
        }
        while !self.oracle.waiting().is_empty() {
            self.step(&Op::Pop { items: 3 });
            self.step(&Op::Ack { lease: 0 });
        }
        self.step(&Op::Append {
            count: 1,
            bytes: 20,
        });
        self.step(&Op::Reopen);
        self.step(&Op::Pop { items: 9 });
        self.step(&Op::Ack { lease: 0 });
        self.step(&Op::Kill);
        if self.setup.mode != Mode::Memory {
            assert!(self.oracle.waiting().is_empty());
        }
    }
}

fn range(lease: &Lease) -> ItemRange {
    let (Some(first), Some(last)) = (lease.items.first(), lease.items.last()) else {
        panic!("a lease of nothing");
    };
    ItemRange {
        first: first.id,
        last: last.id,
    }
}
