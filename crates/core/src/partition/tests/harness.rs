//! A partition with a local queue in memory, driven step by step.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use wolff_codec::records::RecordRef;
use wolff_codec::{ErrorCode, Offset, ProducerEpoch};

use super::broker::Broker;
use crate::action::{Accepted, Action, Completion, QueueOperation, Refused, Transmit};
use crate::config::{Config, Durability};
use crate::frame::starts_batch;
use crate::partition::Partition;
use crate::split::LeasedBatches;

/// Token: the number of the batch.
pub(super) type Token = u32;

#[derive(Debug)]
pub(super) struct Harness {
    pub(super) machine: Partition<Token>,
    pub(super) now: Instant,
    pub(super) broker: Broker,
    pub(super) queue: VecDeque<(u64, Bytes)>,
    pub(super) leases: BTreeMap<u64, Vec<(u64, Bytes)>>,
    pub(super) completions: Vec<Completion<Token>>,
    pub(super) queue_is_broken: bool,
    next_item: u64,
    next_lease: u64,
    next_token: Token,
}

pub(super) fn config() -> Config {
    Config {
        durability: Durability::Queue,
        ..Config::default()
    }
}

impl Harness {
    pub(super) fn new(config: Config) -> Self {
        Self::reopened(config, VecDeque::new())
    }

    /// A life that finds these items.
    pub(super) fn reopened(config: Config, queue: VecDeque<(u64, Bytes)>) -> Self {
        let bytes = queue.iter().map(|(_, item)| item.len() as u64).sum();
        Self {
            machine: Partition::new(config, queue.len() as u64, bytes),
            now: Instant::now(),
            broker: Broker::default(),
            next_item: queue.back().map_or(0, |(id, _)| id + 1),
            queue,
            leases: BTreeMap::new(),
            completions: Vec::new(),
            queue_is_broken: false,
            next_lease: 0,
            next_token: 0,
        }
    }

    pub(super) fn send(&mut self, values: &[&[u8]]) -> Result<Accepted<Token>, Refused> {
        let records: Vec<RecordRef<'_>> = values
            .iter()
            .map(|value| RecordRef {
                timestamp_ms: 1_000,
                value: Some(value),
                ..RecordRef::default()
            })
            .collect();
        let (next_token, now) = (&mut self.next_token, self.now);
        let opening = || {
            *next_token += 1;
            (*next_token, now)
        };
        self.machine
            .accept(records.iter().copied(), opening, |_| BytesMut::new())
    }

    /// Carries out one piece of queue work.
    pub(super) fn step_queue(&mut self) -> bool {
        let Some(operation) = self.machine.poll_queue(self.now, true) else {
            return false;
        };
        match operation {
            QueueOperation::Append(_) if self.queue_is_broken => {
                self.machine
                    .handle_append_failed(&crate::outcome::StorageError::new(
                        std::io::Error::other("disk full"),
                    ))
            }
            QueueOperation::Append(frames) => {
                let first = self.next_item;
                for frame in frames {
                    self.queue.push_back((self.next_item, frame.payload));
                    self.next_item += 1;
                }
                self.machine.handle_appended(first);
            }
            QueueOperation::Lease { items } => {
                let mut leased = Vec::new();
                while let Some((_, payload)) = self.queue.front() {
                    let is_over = !leased.is_empty() && starts_batch(payload);
                    if is_over || items.is_some_and(|items| leased.len() == items) {
                        break;
                    }
                    leased.extend(self.queue.pop_front());
                }
                let lease = self.next_lease;
                self.next_lease += 1;
                let read = LeasedBatches::read(&leased);
                self.leases.insert(lease, leased);
                self.machine.handle_leased(lease, read);
            }
            QueueOperation::Ack(ended) => {
                for ended in ended {
                    assert!(
                        self.leases.remove(&ended.lease).is_some(),
                        "every lease is acknowledged once"
                    );
                }
            }
        }
        true
    }

    /// All queue work, and all outcomes.
    pub(super) fn settle(&mut self) {
        self.machine.handle_timeout(self.now);
        while self.step_queue() {}
        self.completions
            .extend(std::iter::from_fn(|| self.machine.poll_outcome()));
    }

    /// The next action when all queue work is done.
    pub(super) fn action(&mut self) -> Option<Action> {
        self.settle();
        self.machine.poll_action(self.now)
    }

    /// Connects and gets an identity.
    pub(super) fn connect(&mut self) {
        assert!(matches!(self.action(), Some(Action::Connect { .. })));
        self.machine.handle_connected();
        if let Some(Action::InitProducerId) = self.action() {
            let id = self.broker.new_producer_id();
            self.machine.handle_producer_id(id, ProducerEpoch(0));
        }
        self.settle();
    }

    pub(super) fn next_send(&mut self) -> Option<Transmit> {
        match self.action()? {
            Action::Send(transmit) => Some(transmit),
            other => panic!("expected a batch to send, got {other:?}"),
        }
    }

    /// Lets the broker apply a batch and answer it.
    pub(super) fn apply(&mut self, transmit: &Transmit) -> ErrorCode {
        let (code, offset) = self.broker.produce(transmit);
        self.answer(transmit, code, offset);
        code
    }

    pub(super) fn answer(&mut self, transmit: &Transmit, code: ErrorCode, offset: Option<Offset>) {
        self.machine
            .handle_answer(transmit.batch, code, offset, self.now);
        self.settle();
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// Sends everything with a broker that has no faults.
    pub(super) fn drain(&mut self) {
        for _ in 0..10_000 {
            match self.action() {
                Some(Action::Connect { .. }) => self.machine.handle_connected(),
                Some(Action::InitProducerId) => {
                    let id = self.broker.new_producer_id();
                    self.machine.handle_producer_id(id, ProducerEpoch(0));
                }
                Some(Action::Send(transmit)) => {
                    self.apply(&transmit);
                }
                Some(Action::Disconnect) => self.machine.handle_disconnected(self.now),
                None => match self.machine.poll_timeout(self.now) {
                    Some(at) => self.now = at,
                    None => break,
                },
            }
        }
        assert!(
            self.machine.is_drained(),
            "with a good broker everything drains: {:?}",
            self.machine
        );
    }

    pub(super) fn log(&self) -> Vec<&[u8]> {
        self.broker.log.iter().map(Vec::as_slice).collect()
    }
}
