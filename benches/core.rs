//! The machine of a partition without I/O: accepting calls, cutting and storing fragments, leasing
//! batches, dealing with answers.

#![expect(
    clippy::expect_used,
    reason = "a benchmark of what does not work measures nothing"
)]

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wolff_codec::records::RecordRef;
use wolff_codec::{BrokerId, LeaderEpoch, Offset, ProducerEpoch, TopicId};
use wolff_core::{
    Action, Answer, AppendOperation, ClusterRequest, Config, Event, LeaseNo, LeaseOperation,
    LeasedBatches, Opening, Partition, Recovered, Storage, Transmit,
};

/// Records of one round: several batches of 100 B records.
const RECORDS: u32 = 20_000;

const START_MS: i64 = 1_700_000_000_000;

/// A machine with its queue's items in a list.
struct Bench {
    machine: Partition<u32>,
    now: Instant,
    items: Vec<(u64, Bytes)>,
    leased: usize,
    next_lease: u64,
    next_offset: i64,
    value: Vec<u8>,
}

impl Bench {
    fn new(storage: Storage, value_bytes: usize) -> Self {
        let config = Config {
            storage,
            max_unqueued_bytes: 1 << 30,
            max_queue_bytes: 1 << 40,
            ..Config::default()
        };
        Self {
            machine: Partition::new(&config, Recovered::default()),
            now: Instant::now(),
            items: Vec::new(),
            leased: 0,
            next_lease: 0,
            next_offset: 0,
            value: vec![7; value_bytes],
        }
    }

    /// Calls of one record each.
    fn accept(&mut self, records: u32) {
        let now = self.now;
        for number in 0..records {
            let record = RecordRef {
                timestamp_ms: START_MS + i64::from(number / 10),
                value: Some(&self.value),
                ..RecordRef::default()
            };
            let opening = || Opening {
                token: 1,
                now,
                now_ms: START_MS,
            };
            let accepted = self
                .machine
                .accept(
                    std::iter::once(record),
                    false,
                    opening,
                    BytesMut::with_capacity,
                )
                .expect("there is room");
            black_box(accepted.first_record);
        }
    }

    /// Cuts and stores what was accepted.
    fn store(&mut self) {
        self.machine.request_commit();
        while let Some(operation) = self.machine.poll_append(self.now) {
            let first_item = u64::try_from(self.items.len()).expect("few");
            let event = match operation {
                AppendOperation::Append(payloads) => {
                    self.items.extend((first_item..).zip(payloads));
                    Event::Appended { first_item }
                }
                AppendOperation::AppendLeased { payloads, .. } => {
                    self.items.extend((first_item..).zip(payloads));
                    let batch = self.items.get(self.leased..).expect("stored");
                    let batches = LeasedBatches::read(batch);
                    let lease = LeaseNo(self.next_lease);
                    self.leased = self.items.len();
                    self.next_lease += 1;
                    Event::AppendedLeased {
                        first_item,
                        lease,
                        batches,
                    }
                }
                AppendOperation::Ack { .. } => continue,
            };
            self.machine.handle(event, self.now);
        }
    }

    /// Leases and stamps what there is room for in the window.
    fn lease(&mut self) {
        while let Some(operation) = self.machine.poll_lease(self.now) {
            match operation {
                LeaseOperation::Lease { items } => {
                    let end = self.leased + items.expect("known in this run");
                    let items = self.items.get(self.leased..end).expect("stored");
                    let batches = LeasedBatches::read(items);
                    let lease = LeaseNo(self.next_lease);
                    self.leased = end;
                    self.next_lease += 1;
                    self.machine.handle(Event::Leased(lease, batches), self.now);
                }
                LeaseOperation::Stamp { lease, .. } => {
                    self.machine.handle(Event::Stamped(lease), self.now);
                }
                other => drop(black_box(other)),
            }
        }
    }

    /// The next batch to send.
    fn next_send(&mut self) -> Option<Transmit> {
        loop {
            match self.machine.poll_action(self.now)? {
                Action::Connect { .. } => {
                    let leader = wolff_core::Leader {
                        broker: BrokerId(1),
                        epoch: LeaderEpoch(0),
                        topic_id: TopicId::default(),
                        cluster: 0,
                        now_ms: START_MS,
                    };
                    self.machine.handle(Event::Connected(leader), self.now);
                }
                Action::Request(ClusterRequest::Identity(_)) => {
                    let event = Event::IdentityGranted {
                        producer_id: wolff_codec::ProducerId(1),
                        epoch: ProducerEpoch(0),
                    };
                    self.machine.handle(event, self.now);
                }
                Action::Send(transmit) => return Some(transmit),
                other => drop(black_box(other)),
            }
        }
    }

    fn answer(&mut self, transmit: &Transmit) {
        let answer = Answer {
            base_offset: Some(Offset(self.next_offset)),
            ..Answer::default()
        };
        self.next_offset += i64::from(transmit.body.record_count());
        self.machine
            .handle(Event::Answered(transmit.batch, answer), self.now);
        while let Some(ended) = self.machine.poll_end() {
            if let Some(lease) = ended.lease {
                self.machine.handle(Event::Reported(lease), self.now);
            }
        }
    }

    /// Sends and ends everything that was accepted.
    fn deliver(&mut self) {
        loop {
            self.store();
            self.lease();
            let Some(transmit) = self.next_send() else {
                if self.machine.is_drained() {
                    return;
                }
                continue;
            };
            self.answer(&transmit);
        }
    }
}

fn storages() -> [(&'static str, Storage); 2] {
    [("memory", Storage::Memory), ("disk", Storage::Disk)]
}

fn accept(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core/accept and cut");
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    for (name, storage) in storages() {
        for value_bytes in [100, 1024] {
            group.bench_function(format!("{name}/{value_bytes} B"), |bencher| {
                bencher.iter_batched_ref(
                    || Bench::new(storage, value_bytes),
                    |bench| {
                        bench.accept(RECORDS);
                        bench.store();
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

fn whole_way(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core/accept to acked");
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    for (name, storage) in storages() {
        for value_bytes in [100, 1024] {
            group.bench_function(format!("{name}/{value_bytes} B"), |bencher| {
                bencher.iter_batched_ref(
                    || Bench::new(storage, value_bytes),
                    |bench| {
                        bench.accept(RECORDS);
                        bench.deliver();
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

/// Batches of one record: what a batch costs beside its records.
fn batches(criterion: &mut Criterion) {
    const BATCHES: u32 = 500;
    let mut group = criterion.benchmark_group("core/lease, send, answer");
    group.throughput(Throughput::Elements(u64::from(BATCHES)));
    for (name, storage) in storages() {
        group.bench_function(format!("{name}/a batch of one record"), |bencher| {
            bencher.iter_batched_ref(
                || {
                    let mut bench = Bench::new(storage, 100);
                    bench.accept(1);
                    bench.deliver();
                    bench
                },
                |bench| {
                    for _ in 0..BATCHES {
                        bench.accept(1);
                        bench.deliver();
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, accept, whole_way, batches);
criterion_main!(benches);
