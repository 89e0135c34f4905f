//! A machine with its driver, broker and callers; the sums are checked after every step.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use wolff_codec::records::{CompressionLevel, RecordRef};
use wolff_codec::{BrokerId, ErrorCode, LeaderEpoch, ProducerEpoch, TopicId};
use wolff_core::{
    Accepted, Action, Answer, ClusterRequest, Completion, Config, Driver, Event, Leader, Opening,
    Origin, Outcome, Partition, Refused, Snapshot, Storage, Tally, Transmit,
};

use super::broker::{Broker, Value};
use super::host::Host;
use super::queue::{Queue, Reopened};

pub(crate) type Token = u32;

/// A call as its caller sees it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) token: Token,
    pub(crate) first_record: u32,
    pub(crate) values: Vec<Value>,
    /// The end of each record.
    pub(crate) ends: Vec<Option<Outcome>>,
}

impl Call {
    pub(crate) fn end(&self) -> Option<&Outcome> {
        let first = self.ends[0].as_ref();
        assert!(
            self.ends.iter().all(|end| end.is_some() == first.is_some()),
            "a call ends as a whole"
        );
        first
    }
}

/// A partition and everything around it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) driver: Driver<Partition<Token>, Queue>,
    pub(crate) host: Host,
    pub(crate) queue: Queue,
    pub(crate) broker: Broker,
    pub(crate) config: Config,
    /// Calls of this run.
    pub(crate) calls: Vec<Call>,
    /// Ends of records that previous runs or other queues left.
    pub(crate) others: Vec<Completion<Token>>,
    /// Completions in the order in which they came.
    pub(crate) completions: Vec<Completion<Token>>,
    /// True if ends are reported as soon as they are there.
    pub(crate) reports: bool,
    pub(crate) refreshes: u32,
    pub(crate) grants_identity: bool,
    unreported: VecDeque<wolff_core::EndedLease>,
    next_token: Token,
}

pub(crate) fn config() -> Config {
    Config {
        storage: Storage::Disk,
        run: 1,
        ..Config::default()
    }
}

impl Stage {
    pub(crate) fn new(config: Config) -> Self {
        Self::opened(config, Queue::default(), Broker::new())
    }

    /// A run on a queue that is there already.
    pub(crate) fn opened(config: Config, queue: Queue, broker: Broker) -> Self {
        let Reopened { recovered, leases } = queue.reopen();
        let machine = Partition::new(&config, recovered);
        let compression = (config.compression, CompressionLevel::default());
        Self {
            driver: Driver::new(machine, queue.clone(), compression, leases),
            host: Host::new(),
            queue,
            broker,
            config,
            calls: Vec::new(),
            others: Vec::new(),
            completions: Vec::new(),
            reports: true,
            refreshes: 0,
            grants_identity: true,
            unreported: VecDeque::new(),
            next_token: 0,
        }
    }

    /// The next run, after this process was killed.
    pub(crate) fn restarted(self) -> Self {
        let mut config = self.config;
        config.run += 1;
        Self::opened(config, self.queue, self.broker)
    }

    pub(crate) fn now(&self) -> Instant {
        self.host.now.get()
    }

    pub(crate) fn send(&mut self, values: &[&[u8]]) -> Result<Accepted<Token>, Refused> {
        let records: Vec<RecordRef<'_>> = values
            .iter()
            .map(|value| RecordRef {
                timestamp_ms: 1_000,
                value: Some(value),
                ..RecordRef::default()
            })
            .collect();
        let (next_token, now) = (&mut self.next_token, self.host.now.get());
        let opening = || {
            *next_token += 1;
            Opening {
                token: *next_token,
                now,
                now_ms: 1_000,
            }
        };
        let accepted =
            self.driver
                .machine()
                .accept(records.iter().copied(), true, opening, |_| BytesMut::new())?;
        assert_eq!(accepted.call_no, self.calls.len() as u64);
        self.calls.push(Call {
            token: accepted.token,
            first_record: accepted.first_record,
            values: values.iter().map(|value| value.to_vec()).collect(),
            ends: vec![None; values.len()],
        });
        self.check();
        Ok(accepted)
    }

    /// Sends a call of one record, which must be accepted.
    pub(crate) fn send_one(&mut self, value: &[u8]) -> usize {
        self.send(&[value]).unwrap();
        self.calls.len() - 1
    }

    /// All work of the local queue, and all ends.
    pub(crate) fn settle(&mut self) {
        self.host.looks.set(0);
        for round in 0.. {
            assert!(round < 1_000, "the queue's work comes to no end");
            self.driver.run_appends(&self.host);
            self.driver.run_leases(&self.host);
            self.take_ends();
            let now = self.now();
            let machine = self.driver.machine();
            if !machine.wants_append(now) && !machine.wants_lease(now) {
                break;
            }
        }
        self.check();
    }

    /// One append or acknowledgement, or one lease, stamp or split.
    pub(crate) fn take_ends(&mut self) {
        loop {
            let Some(ended) = self.driver.machine().poll_end() else {
                break;
            };
            if let Some(completion) = ended.completion {
                self.record(&completion);
                self.completions.push(completion);
            }
            self.unreported.extend(ended.lease);
            self.check();
        }
        if self.reports {
            self.report();
        }
    }

    /// Hands back the leases of ends that were reported.
    pub(crate) fn report(&mut self) {
        while let Some(lease) = self.unreported.pop_front() {
            self.handle(Event::Reported(lease));
        }
    }

    fn record(&mut self, completion: &Completion<Token>) {
        let Origin::ThisRun(token) = completion.origin else {
            self.others.push(completion.clone());
            return;
        };
        let records = completion.first_record..completion.first_record + completion.record_count;
        let mut found = 0;
        for call in self.calls.iter_mut().filter(|call| call.token == token) {
            for (record, end) in (call.first_record..).zip(&mut call.ends) {
                if records.contains(&record) {
                    assert!(
                        end.is_none(),
                        "record {record} of batch {token} ended twice"
                    );
                    *end = Some(completion.outcome.clone());
                    found += 1;
                }
            }
        }
        assert_eq!(found, completion.record_count, "of known records only");
    }

    pub(crate) fn handle(&mut self, event: Event) {
        let now = self.now();
        self.driver.machine().handle(event, now);
        self.check();
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.driver.machine().snapshot()
    }

    /// The sums, and that the snapshot agrees with what callers were told.
    pub(crate) fn check(&self) {
        let snapshot = self.snapshot();
        let (mut calls, mut records) = (Tally::default(), Tally::default());
        for call in &self.calls {
            let count = call.values.len() as u64;
            calls.accepted += 1;
            records.accepted += count;
            for (tally, count) in [(&mut calls, 1), (&mut records, count)] {
                match &call.ends[0] {
                    None => tally.queued += count,
                    Some(Outcome::Acked { .. }) => tally.acked += count,
                    Some(Outcome::Failed(_)) => tally.failed += count,
                    Some(Outcome::InDoubt(_)) => tally.in_doubt += count,
                    Some(Outcome::LeftInQueue) => tally.left += count,
                    Some(other) => panic!("{other:?}"),
                }
            }
        }
        for (name, told, counted) in [
            ("calls", calls, snapshot.calls),
            ("records", records, snapshot.records),
        ] {
            assert_eq!(told.accepted, counted.accepted, "{name}");
            let sum =
                counted.acked + counted.failed + counted.in_doubt + counted.left + counted.queued;
            assert_eq!(sum, counted.accepted, "{name}: {counted:?}");
            // Ends that were not polled yet are counted already.
            assert!(told.acked <= counted.acked, "{name}: {told:?} {counted:?}");
            assert!(
                told.failed <= counted.failed,
                "{name}: {told:?} {counted:?}"
            );
            assert!(told.in_doubt <= counted.in_doubt, "{name}");
            assert!(told.left <= counted.left, "{name}");
        }
        if snapshot.records.queued == 0 && snapshot.recovered_items == 0 {
            let window = snapshot.leased_records;
            assert!(window > 0 || snapshot.held_bytes == 0, "{snapshot:?}");
        }
        assert!(snapshot.queued_calls <= snapshot.calls.accepted);
    }

    /// The next action when all work of the queue is done.
    pub(crate) fn action(&mut self) -> Option<Action> {
        self.settle();
        let now = self.now();
        let wants = self.driver.machine().wants_network(now);
        let action = self.driver.machine().poll_action(now);
        assert_eq!(wants, action.is_some(), "{action:?}");
        self.check();
        action
    }

    pub(crate) fn leader() -> Leader {
        Leader {
            broker: BrokerId(1),
            epoch: LeaderEpoch(0),
            topic_id: TopicId::default(),
            cluster: 0,
            now_ms: 1_000,
        }
    }

    pub(crate) fn connected(&mut self) {
        self.handle(Event::Connected(Self::leader()));
    }

    /// Answers a request for an identity.
    pub(crate) fn answer_request(&mut self, request: ClusterRequest) {
        let ClusterRequest::Identity(request) = request else {
            panic!("{request:?}");
        };
        if !self.grants_identity {
            return self.handle(Event::IdentityFailed { is_refused: true });
        }
        let (producer_id, epoch) = request
            .next_epoch()
            .unwrap_or_else(|| (self.broker.new_producer_id(), ProducerEpoch(0)));
        self.handle(Event::IdentityGranted { producer_id, epoch });
    }

    /// Carries out what leads to the next batch to send; `None`: nothing can be done now.
    pub(crate) fn next_send(&mut self) -> Option<Transmit> {
        for _ in 0..100 {
            match self.action()? {
                Action::Connect { refresh_metadata } => {
                    self.refreshes += u32::from(refresh_metadata);
                    self.connected();
                }
                Action::Request(request) => self.answer_request(request),
                Action::Send(transmit) => return Some(transmit),
                Action::Disconnect => self.handle(Event::Disconnected),
            }
        }
        panic!("a loop without a batch");
    }

    /// As many batches as may be in flight now.
    pub(crate) fn send_all(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.next_send()).collect()
    }

    pub(crate) fn answer(&mut self, transmit: &Transmit, answer: Answer) {
        self.handle(Event::Answered(transmit.batch, answer));
        self.settle();
    }

    pub(crate) fn answer_code(&mut self, transmit: &Transmit, code: ErrorCode) {
        self.answer(
            transmit,
            Answer {
                code,
                ..Answer::default()
            },
        );
    }

    /// Lets the broker apply a batch and answer it.
    pub(crate) fn apply(&mut self, transmit: &Transmit) -> ErrorCode {
        let answer = self.broker.produce(transmit);
        let code = answer.code;
        self.answer(transmit, answer);
        code
    }

    /// Lets the broker apply a batch, and answer it with an error all the same.
    pub(crate) fn apply_then_answer(&mut self, transmit: &Transmit, code: ErrorCode) {
        let answer = self.broker.produce_then_answer(transmit, code);
        self.answer(transmit, answer);
    }

    pub(crate) fn disconnect(&mut self) {
        self.handle(Event::Disconnected);
        self.settle();
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        self.host.now.set(self.now() + time);
        self.settle();
    }

    /// Lets time pass until the machine's own timer fires; false if none is set.
    pub(crate) fn wait_for_timer(&mut self) -> bool {
        let now = self.now();
        let at = self.driver.machine().poll_timeout(now);
        if let Some(at) = at {
            assert!(at > now, "a timer in the past makes a loop that spins");
            self.host.now.set(at);
            self.settle();
        }
        at.is_some()
    }

    /// Sends everything with a broker that has no faults.
    pub(crate) fn drain(&mut self) {
        self.drain_within(5_000);
    }

    /// The same in so many steps.
    pub(crate) fn drain_within(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.next_send() {
                Some(transmit) => {
                    self.apply(&transmit);
                }
                None if self.wait_for_timer() => {}
                None => {
                    assert!(
                        self.driver.machine().is_drained(),
                        "with a good broker everything drains: {:#?}",
                        self.driver.machine()
                    );
                    assert_eq!(self.snapshot().held_bytes, 0);
                    return;
                }
            }
        }
        panic!("no end in {steps} steps: {:#?}", self.driver.machine());
    }

    pub(crate) fn end_of(&self, call: usize) -> Option<Outcome> {
        self.calls[call].end().cloned()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        self.broker.log()
    }
}
