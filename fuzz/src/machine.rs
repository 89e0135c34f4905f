//! The machine of a partition: anything may happen to it, in any order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use wolff_codec::records::RecordRef;
use wolff_codec::{BrokerId, ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId};
use wolff_core::{
    Action, Answer, AppendOperation, BatchNo, ClusterRequest, Completion, Config, DoubtReason,
    EndedLease, Event, FailReason, Idempotence, Leader, LeaseNo, LeaseOperation, LeaseTag,
    LeasedBatches, OnRefused, Opening, Origin, Partition, Recovered, Storage, StorageError,
    batch_start, split,
};

/// Codes that brokers answer with; the last is unknown.
const CODES: [i16; 24] = [
    0, 0, 0, 0, 3, 5, 6, 7, 19, 20, 56, -1, 2, 10, 29, 31, 32, 35, 43, 45, 46, 47, 59, 87,
];

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn next(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An append that is under way.
struct Append {
    payloads: Vec<Bytes>,
    /// It leases what it completes, with what waits from this item on.
    leases_from: Option<Option<u64>>,
}

/// A machine, and its surroundings with operations that are under way.
struct World {
    machine: Partition<u32>,
    now: Instant,
    items: Vec<Bytes>,
    /// Items in the queue that are not leased.
    waiting: VecDeque<u64>,
    leases: BTreeMap<LeaseNo, Vec<u64>>,
    next_lease: u64,
    append: Option<Append>,
    lease: Option<LeaseOperation>,
    sent: Vec<BatchNo>,
    unreported: Vec<EndedLease>,
    next_token: u32,
    accepted: BTreeSet<(u32, u32)>,
    ended: BTreeSet<(u32, u32)>,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let flags = input.next();
        let config = Config {
            storage: if flags & 1 == 0 {
                Storage::Disk
            } else {
                Storage::Memory
            },
            idempotence: match flags & 6 {
                2 => Idempotence::Off,
                4 => Idempotence::Required,
                _ => Idempotence::Auto,
            },
            on_refused: if flags & 8 == 0 {
                OnRefused::Hold
            } else {
                OnRefused::Fail
            },
            linger: Duration::from_millis(u64::from(flags >> 6) * 20),
            max_in_flight: usize::from(flags >> 4 & 3) + 1,
            max_batch_bytes: 100 + usize::from(input.next()) * 4,
            fragment_bytes: 30 + usize::from(input.next()),
            max_queue_bytes: 20_000,
            run: 1,
            ..Config::default()
        };
        Self {
            machine: Partition::new(&config, Recovered::default()),
            now: Instant::now(),
            items: Vec::new(),
            waiting: VecDeque::new(),
            leases: BTreeMap::new(),
            next_lease: 0,
            append: None,
            lease: None,
            sent: Vec::new(),
            unreported: Vec::new(),
            next_token: 0,
            accepted: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }

    fn item(&self, id: u64) -> &Bytes {
        let index = usize::try_from(id).expect("few items");
        self.items.get(index).expect("a known item")
    }

    fn handle(&mut self, event: Event) {
        self.machine.handle(event, self.now);
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.next() % 22 {
            0 | 1 => self.accept(input),
            2 => self.poll_append(),
            3 => self.finish_append(input.next()),
            4 => self.poll_lease(),
            5 => self.finish_lease(input.next()),
            6 | 7 => self.poll_action(),
            8 | 9 => self.answer(input),
            10 => self.fail_request(input),
            11 => self.handle(Event::Connected(Leader {
                broker: BrokerId(1),
                epoch: LeaderEpoch(0),
                topic_id: TopicId::default(),
                cluster: u64::from(input.next() % 3),
                now_ms: 1_700_000_000_000,
            })),
            12 => self.handle(Event::ConnectFailed),
            13 => self.handle(Event::Disconnected),
            14 => self.handle(Event::IdentityGranted {
                producer_id: ProducerId(i64::from(input.next())),
                epoch: ProducerEpoch(i16::from(input.next() % 4)),
            }),
            15 => self.handle(Event::IdentityFailed {
                is_refused: input.next() & 1 == 0,
            }),
            16 => self.poll_ends(),
            17 => {
                if let Some(lease) = self.unreported.pop() {
                    self.handle(Event::Reported(lease));
                }
            }
            18 => self.now += Duration::from_millis(u64::from(input.next()) * 20),
            19 => {
                self.machine.flush();
            }
            20 => self.machine.request_commit(),
            _ => match input.next() % 16 {
                0 => self.machine.stop_accepting(),
                1 => self.machine.wind_down(),
                _ => {}
            },
        }
        let snapshot = self.machine.snapshot();
        assert_eq!(
            snapshot.records.accepted,
            self.accepted.len() as u64,
            "accepted"
        );
        if let Some(at) = self.machine.poll_timeout(self.now) {
            assert!(at > self.now, "a timer in the past");
        }
    }

    fn accept(&mut self, input: &mut Input<'_>) {
        let count = u32::from(input.next() % 3 + 1);
        let value = vec![7; usize::from(input.next())];
        let record = RecordRef {
            timestamp_ms: 1_000,
            value: Some(&value),
            ..RecordRef::default()
        };
        let (next_token, now) = (&mut self.next_token, self.now);
        let opening = || {
            *next_token += 1;
            Opening {
                token: *next_token,
                now,
                now_ms: 1_000,
            }
        };
        let records = (0..count).map(|_| record);
        let accepted = (self.machine).accept(records, true, opening, |_| BytesMut::new());
        if let Ok(accepted) = accepted {
            for record in accepted.first_record..accepted.first_record + count {
                assert!(self.accepted.insert((accepted.token, record)));
            }
        }
    }

    fn poll_append(&mut self) {
        let wants = self.machine.wants_append(self.now);
        let operation = self.machine.poll_append(self.now);
        assert!(wants || operation.is_none(), "{operation:?}");
        match operation {
            Some(AppendOperation::Append(payloads)) => self.start_append(payloads, None),
            Some(AppendOperation::AppendLeased {
                payloads,
                from,
                tag,
            }) => {
                LeaseTag::decode(&tag).expect("a tag");
                self.start_append(payloads, Some(from));
            }
            Some(AppendOperation::Ack { leases, .. }) => {
                for ended in leases {
                    // One that was leased with nothing in it is known to nobody.
                    self.leases.remove(&ended.lease);
                }
            }
            None => {}
        }
    }

    fn start_append(&mut self, payloads: Vec<Bytes>, leases_from: Option<Option<u64>>) {
        assert!(self.append.is_none(), "one append at a time");
        self.append = Some(Append {
            payloads,
            leases_from,
        });
    }

    fn finish_append(&mut self, how: u8) {
        let Some(Append {
            payloads,
            leases_from,
        }) = self.append.take()
        else {
            return;
        };
        if how.is_multiple_of(8) {
            let error = StorageError::new(std::io::Error::other("injected"));
            return self.handle(Event::AppendFailed(error));
        }
        let first_item = self.items.len() as u64;
        for payload in payloads {
            self.waiting.push_back(self.items.len() as u64);
            self.items.push(payload);
        }
        // A queue leases at the front only; now and then it cannot.
        let oldest = self.waiting.front().copied();
        let is_at_front = leases_from.is_some_and(|from| {
            from.is_none_or(|from| from < first_item) && {
                oldest == Some(from.unwrap_or(first_item))
            }
        });
        if !is_at_front || how % 16 == 1 {
            return self.handle(Event::Appended { first_item });
        }
        let items: Vec<u64> = self.waiting.drain(..).collect();
        let read: Vec<(u64, Bytes)> = items
            .iter()
            .map(|item| (*item, self.item(*item).clone()))
            .collect();
        let lease = LeaseNo(self.next_lease);
        self.next_lease += 1;
        self.leases.insert(lease, items);
        self.handle(Event::AppendedLeased {
            first_item,
            lease,
            batches: LeasedBatches::read(&read),
        });
    }

    fn poll_lease(&mut self) {
        let operation = self.machine.poll_lease(self.now);
        match operation {
            Some(LeaseOperation::Release(lease)) => {
                // One in which nothing was is not known.
                let items = self.leases.remove(&lease).unwrap_or_default();
                self.waiting.extend(items);
                self.waiting.make_contiguous().sort_unstable();
            }
            Some(operation) => {
                assert!(self.lease.is_none(), "one at a time");
                self.lease = Some(operation);
            }
            None => {}
        }
    }

    fn finish_lease(&mut self, how: u8) {
        match self.lease.take() {
            Some(LeaseOperation::Lease { items }) if !how.is_multiple_of(8) => {
                let lease = LeaseNo(self.next_lease);
                self.next_lease += 1;
                if how % 16 == 1 {
                    // The queue loses an item.
                    self.waiting.pop_front();
                }
                let leased = self.take_batch(items.unwrap_or(usize::MAX));
                let payloads: Vec<(u64, Bytes)> = leased
                    .iter()
                    .map(|item| (*item, self.item(*item).clone()))
                    .collect();
                if !leased.is_empty() {
                    self.leases.insert(lease, leased);
                }
                self.handle(Event::Leased(lease, LeasedBatches::read(&payloads)));
            }
            Some(LeaseOperation::Lease { .. }) => self.handle(Event::LeaseFailed),
            Some(LeaseOperation::Stamp { lease, .. }) => {
                let event = if how.is_multiple_of(8) {
                    Event::StampFailed(lease)
                } else {
                    Event::Stamped(lease)
                };
                self.handle(event);
            }
            Some(LeaseOperation::Split { batch, body, rule }) => {
                let mut pieces = split(&body, &rule);
                if how % 32 == 3 {
                    pieces.pop();
                }
                self.handle(Event::Split(batch, pieces));
            }
            Some(other) => unexpected(&other),
            None => {}
        }
    }

    /// The items of one batch at the front of the queue.
    fn take_batch(&mut self, most: usize) -> Vec<u64> {
        let mut leased = Vec::new();
        let start = |world: &Self, item: u64| batch_start(world.item(item));
        while let Some(item) = self.waiting.front().copied() {
            let begins_another = leased
                .first()
                .is_some_and(|first| start(self, *first) != start(self, item));
            if leased.len() == most || begins_another {
                break;
            }
            leased.extend(self.waiting.pop_front());
        }
        leased
    }

    fn poll_action(&mut self) {
        let wants = self.machine.wants_network(self.now);
        let action = self.machine.poll_action(self.now);
        assert_eq!(wants, action.is_some(), "{action:?}");
        match action {
            Some(Action::Send(transmit)) => {
                transmit.body.encode(transmit.stamp).expect("a small batch");
                self.sent.push(transmit.batch);
            }
            Some(Action::Request(ClusterRequest::Identity(request))) => {
                let _ = request.next_epoch();
            }
            _ => {}
        }
    }

    /// An answer to a batch that was sent, perhaps long ago, or to none.
    fn answer(&mut self, input: &mut Input<'_>) {
        let (which, code) = (usize::from(input.next()), usize::from(input.next()));
        let batch = self.sent.get(which % self.sent.len().max(1));
        let batch = batch.copied().unwrap_or(BatchNo(u64::MAX));
        let record_errors = match input.next() {
            named @ 0..64 => vec![(u32::from(named), Some(Arc::from("named")))],
            _ => Vec::new(),
        };
        let code = CODES.get(code % (CODES.len() + 1)).copied().unwrap_or(999);
        let answer = Answer {
            code: ErrorCode(code),
            base_offset: (code == 0).then_some(Offset(5)),
            record_errors,
            names_leader: which & 1 == 0,
            ..Answer::default()
        };
        self.handle(Event::Answered(batch, answer));
    }

    fn fail_request(&mut self, input: &mut Input<'_>) {
        let which = usize::from(input.next());
        if let Some(batch) = self.sent.get(which % self.sent.len().max(1)).copied() {
            let not_sent = which & 1 == 0;
            self.handle(Event::RequestFailed { batch, not_sent });
        }
    }

    fn poll_ends(&mut self) {
        while let Some(ended) = self.machine.poll_end() {
            self.unreported.extend(ended.lease);
            if let Some(completion) = ended.completion {
                self.record(&completion);
            }
        }
    }

    fn record(&mut self, completion: &Completion<u32>) {
        let Origin::ThisRun(token) = completion.origin else {
            return unexpected(completion);
        };
        let end = completion.first_record + completion.record_count;
        for record in completion.first_record..end {
            let key = (token, record);
            assert!(self.accepted.contains(&key), "{key:?} is unknown");
            assert!(self.ended.insert(key), "{key:?} ended twice");
        }
    }

    /// Everything comes to an end.
    fn finish(mut self) {
        self.machine
            .abandon(&FailReason::Stopped, DoubtReason::Stopped);
        self.finish_append(7);
        self.finish_lease(1);
        for _ in 0..1_000 {
            self.poll_ends();
            let Some(lease) = self.unreported.pop() else {
                break;
            };
            self.handle(Event::Reported(lease));
        }
        while self.machine.wants_append(self.now) {
            self.poll_append();
        }
        self.poll_lease();
        assert_eq!(self.ended, self.accepted, "every record has one end");
        let snapshot = self.machine.snapshot();
        assert_eq!((snapshot.records.queued, snapshot.calls.queued), (0, 0));
        assert_eq!(snapshot.held_bytes, 0);
    }
}

#[expect(clippy::panic, reason = "a panic is how a fuzz target speaks")]
fn unexpected(what: &impl std::fmt::Debug) {
    panic!("{what:?} was not expected");
}

/// Events in any order, also such that no driver would send: every record comes to one end, the
/// counts agree after every step, and the machine never has a timer in the past.
pub fn machine(data: &[u8]) {
    let mut input = Input(data);
    let mut world = World::new(&mut input);
    while !input.is_empty() {
        world.step(&mut input);
    }
    world.finish();
}
