//! Panics in the work on a queue in memory: whatever step they come in, every call ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::BytesMut;
use replayq::Job;
use tokio::runtime::Handle;
use wolff_codec::records::{Compression, CompressionLevel, RecordRef};
use wolff_codec::{BrokerId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, TopicId};
use wolff_core::{
    Accepted, Action, Answer, AppendOperation, ClusterRequest, Config, DoubtReason, Ended, Event,
    FailReason, Leader, LeaseOperation, Machine, MemoryUse, Opening, Partition, QueueItemError,
    Recovered, Refused, Snapshot,
};

use super::super::Token;
use super::super::local::Local;
use super::super::machines::CallMachine;
use super::{Queue, QueueParts};
use crate::clock;
use crate::completion::{Panics, Receipt};
use crate::descriptors::Descriptors;
use crate::failures::Failures;
use crate::io::{Executor, Lanes};
use crate::memory::MemoryBudget;
use crate::record::Record;

/// A machine of a partition that panics at a step.
struct Panicking {
    machine: Partition<Token>,
    /// Steps that are left until one panics; negative: none does.
    steps: Arc<AtomicI64>,
}

impl Panicking {
    fn step(&self) {
        let count_down = |left: i64| (left >= 0).then(|| left - 1);
        let left = (self.steps).fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down);
        if left == Ok(0) {
            // Without the message of a panic that nobody expects.
            std::panic::resume_unwind(Box::new("forced"));
        }
    }
}

impl Machine for Panicking {
    fn poll_append(&mut self, now: Instant) -> Option<AppendOperation> {
        self.step();
        self.machine.poll_append(now)
    }

    fn poll_lease(&mut self, now: Instant) -> Option<LeaseOperation> {
        self.step();
        self.machine.poll_lease(now)
    }

    fn handle(&mut self, event: Event, now: Instant) {
        self.step();
        self.machine.handle(event, now);
        self.step();
    }
}

impl CallMachine for Panicking {
    fn accept<'a, I>(
        &mut self,
        records: I,
        is_awaited: bool,
        opening: impl FnOnce() -> Opening<Token>,
        memory: impl FnOnce(usize) -> BytesMut,
    ) -> Result<Accepted<Token>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone,
    {
        self.machine.accept(records, is_awaited, opening, memory)
    }

    fn poll_end(&mut self) -> Option<Ended<Token>> {
        self.step();
        self.machine.poll_end()
    }

    fn wants_append(&self, now: Instant) -> bool {
        self.machine.wants_append(now)
    }

    fn wants_lease(&self, now: Instant) -> bool {
        self.machine.wants_lease(now)
    }

    fn has_uncommitted(&self) -> bool {
        self.machine.has_uncommitted()
    }

    fn is_appending(&self) -> bool {
        self.machine.is_appending()
    }

    fn request_commit(&mut self) {
        self.machine.request_commit();
    }

    fn queued_calls(&self) -> u64 {
        self.machine.queued_calls()
    }

    fn has_failed_calls(&self) -> bool {
        self.machine.has_failed_calls()
    }

    fn flush(&mut self) -> u64 {
        self.machine.flush()
    }

    fn stop_accepting(&mut self) {
        self.machine.stop_accepting();
    }

    fn wind_down(&mut self) {
        self.machine.wind_down();
    }

    fn is_wound_down(&self) -> bool {
        self.machine.is_wound_down()
    }

    fn is_drained(&self) -> bool {
        self.machine.is_drained()
    }

    fn abandon(&mut self, unsent: &FailReason, sent: DoubtReason) {
        self.machine.abandon(unsent, sent);
    }

    fn refuse_unreadable(&mut self, error: QueueItemError) {
        self.machine.refuse_unreadable(error);
    }

    fn snapshot(&self) -> Snapshot {
        self.machine.snapshot()
    }

    fn memory(&self) -> MemoryUse {
        self.machine.memory()
    }

    fn memory_room(&self) -> u64 {
        self.machine.memory_room()
    }

    fn grow_memory_room(&mut self, bytes: u64) {
        self.machine.grow_memory_room(bytes);
    }

    fn set_memory_room(&mut self, bytes: u64, is_short: bool) {
        self.machine.set_memory_room(bytes, is_short);
    }

    fn hold_beside(&mut self, bytes: usize) {
        self.machine.hold_beside(bytes);
    }

    fn let_go_beside(&mut self, bytes: usize) {
        self.machine.let_go_beside(bytes);
    }
}

/// Runs jobs where they are requested.
struct Here;

impl Executor for Here {
    fn run(&self, job: Arc<dyn Job>) {
        job.run();
    }

    fn run_later(&self, job: Arc<dyn Job>) {
        job.run();
    }
}

type TestQueue = Arc<Queue<Panicking>>;

/// A queue in memory, on threads where it compresses.
fn queue(compression: Compression, budget: &MemoryBudget) -> (TestQueue, Arc<AtomicI64>) {
    let steps = Arc::new(AtomicI64::new(-1));
    let config = Config {
        compression,
        ..Config::default()
    };
    let (local, recovery) = replayq::Queue::open(replayq::Config::memory()).unwrap();
    let client = wolff_client::Client::builder(["localhost:9092"])
        .build()
        .unwrap();
    let queue = Queue::new(QueueParts {
        partition: Some(PartitionId(0)),
        machine: Panicking {
            machine: Partition::new(&config, Recovered::default()),
            steps: steps.clone(),
        },
        local: Local::new(local, &recovery),
        recovered_leases: Vec::new(),
        is_on_disk: false,
        compression: (compression, CompressionLevel::default()),
        failures: Arc::new(Failures::default()),
        runtime: Handle::current(),
        panics: Panics::default(),
        threads: Lanes::of(Arc::new(Here)),
        wall_clock: crate::clock::WallClock::default(),
        memory_budget: budget.clone(),
        descriptors: Descriptors::new(client),
    });
    (queue, steps)
}

/// One turn of the task that serves the queue: what the machine asks of the cluster is done.
fn serve(queue: &TestQueue, end_offset: &mut i64) {
    loop {
        let now = clock::now();
        let action = queue.machine().machine.poll_action(now);
        let event = match action {
            Some(Action::Connect { .. }) => Event::Connected(Leader {
                broker: BrokerId(1),
                epoch: LeaderEpoch(0),
                topic_id: TopicId::default(),
                cluster: 0,
                now_ms: 0,
            }),
            Some(Action::Request(ClusterRequest::Identity(_))) => Event::IdentityGranted {
                producer_id: ProducerId(1),
                epoch: ProducerEpoch(0),
            },
            Some(Action::Send(transmit)) => {
                let answer = Answer {
                    base_offset: Some(Offset(*end_offset)),
                    ..Answer::default()
                };
                *end_offset += i64::from(transmit.body.record_count());
                Event::Answered(transmit.batch, answer)
            }
            _ => return,
        };
        queue.handle(event);
    }
}

/// The task that serves the queue, as long as something wakes it; a panic in it ends the queue.
fn serve_while_woken(queue: &TestQueue, end_offset: &mut i64) {
    loop {
        let woken = std::pin::pin!(queue.woken());
        if woken
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| serve(queue, end_offset))).is_err() {
            queue.give_up(&FailReason::WorkerCrashed, DoubtReason::WorkerCrashed);
        }
    }
}

fn accept(queue: &TestQueue, number: usize) -> Option<Receipt> {
    let record = Record::new().value(format!("value {number}"));
    let taken = queue.accept(&record, &mut None, false);
    taken.ok().map(|taken| taken.receipt)
}

#[tokio::test]
async fn a_panic_at_any_step_of_the_work_of_a_queue_in_memory_ends_every_call() {
    for compression in [Compression::None, Compression::Gzip] {
        let mut panics = 0;
        for step in 0.. {
            let budget = MemoryBudget::default();
            let (queue, steps) = queue(compression, &budget);
            steps.store(step, Ordering::SeqCst);
            let (mut receipts, mut end_offset) = (Vec::new(), 0);
            for number in 0..4 {
                receipts.extend(accept(&queue, number));
                if number % 2 == 1 {
                    // A caller who flushes works on the queue as well.
                    let flush = || queue.change(CallMachine::flush);
                    let _panicked = catch_unwind(AssertUnwindSafe(flush)).is_err();
                }
                serve_while_woken(&queue, &mut end_offset);
            }
            let ends: Vec<_> = receipts.iter().map(Receipt::try_delivery).collect();
            let context = format!("{compression:?}, step {step}: {ends:?}");
            assert!(ends.iter().all(Option::is_some), "{context}");
            assert_eq!(budget.used_bytes(), 0, "{context}");
            let has_panicked = steps.load(Ordering::SeqCst) < 0;
            if !has_panicked {
                let is_acked = |end: &Option<crate::Delivery>| matches!(end, Some(Ok(_)));
                assert!(ends.len() == 4 && ends.iter().all(is_acked), "{context}");
                break;
            }
            panics += 1;
        }
        assert!(panics > 20, "{panics}");
    }
}
