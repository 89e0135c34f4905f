//! Records that were accepted before the partitions were known, and their way through a partition.

use bytes::BytesMut;
use wolff_codec::records::{CompressionLevel, RecordRef};
use wolff_core::{
    BatchBody, BatchEncoder, Config, Driver, DriverHost, Event, FailReason, LeaseNo, Opening,
    Origin, Outcome, Routable, Storage, Ticket, Unrouted,
};

use crate::support::{Host, Queue, Stage, config};

/// An unrouted queue with its driver.
struct Source {
    driver: Driver<Unrouted<u32>, Queue>,
    queue: Queue,
    host: Host,
    next_token: u32,
}

impl Source {
    fn new(queue: Queue, run: u64, storage: Storage) -> Self {
        let config = Config {
            // Every call is a batch.
            max_batch_bytes: 62,
            run,
            storage,
            ..config()
        };
        let reopened = queue.reopen();
        let machine = Unrouted::new(&config, reopened.recovered);
        let compression = (config.compression, CompressionLevel::default());
        Self {
            driver: Driver::new(machine, queue.clone(), compression, reopened.leases),
            queue,
            host: Host::new(),
            next_token: 0,
        }
    }

    fn send(&mut self, value: &[u8]) {
        let record = RecordRef {
            timestamp_ms: 1_000,
            value: Some(value),
            ..RecordRef::default()
        };
        self.next_token += 1;
        let (token, now) = (self.next_token, self.host.now.get());
        let opening = || Opening {
            token,
            now,
            now_ms: 1_000,
        };
        let records = std::iter::once(record);
        let mut machine = self.driver.machine();
        machine
            .accept(records, true, opening, |_| BytesMut::new())
            .unwrap();
        drop(machine);
        self.settle();
    }

    fn settle(&self) {
        for _ in 0..10 {
            self.host.looks.set(0);
            self.driver.run_appends(&self.host);
            self.driver.run_leases(&self.host);
        }
    }

    fn routable(&self) -> Vec<Routable<u32>> {
        self.settle();
        std::iter::from_fn(|| self.driver.machine().poll_routable()).collect()
    }

    /// The records of a lease came to their end at a partition.
    fn end(&self, lease: LeaseNo, outcome: &Outcome) {
        let ended = self.driver.machine().ended(lease, 1, 1, outcome);
        if let Some(ended) = ended {
            let now = self.host.now();
            let event = Event::Reported(ended);
            wolff_core::Machine::handle(&mut *self.driver.machine(), event, now);
        }
        self.settle();
    }
}

fn acked() -> Outcome {
    Outcome::acked(None)
}

#[test]
fn records_wait_until_the_partitions_are_known_and_are_acknowledged_when_they_have_ended() {
    let mut source = Source::new(Queue::default(), 1, Storage::Disk);
    source.send(b"a");
    source.send(b"b");
    assert!(source.routable().is_empty());
    assert_eq!(source.driver.machine().queued_calls(), 2);
    source.driver.machine().start_routing(1_000);
    let routable = source.routable();
    assert_eq!(routable.len(), 2);
    assert!(matches!(routable[0].origin, Origin::ThisRun(1)));
    source.end(routable[0].lease, &acked());
    assert_eq!(source.queue.len(), 1);
    source.end(routable[1].lease, &acked());
    assert_eq!(source.queue.len(), 0);
    let machine = source.driver.machine();
    assert!(machine.is_drained());
    assert_eq!(machine.snapshot().held_bytes, 0);
    assert_eq!(machine.snapshot().records.acked, 2);
}

#[test]
fn a_flush_waits_for_its_own_calls_though_later_ones_end_first() {
    let mut source = Source::new(Queue::default(), 1, Storage::Disk);
    source.driver.machine().start_routing(1_000);
    source.send(b"slow partition");
    let calls = source.driver.machine().flush();
    source.send(b"fast partition");
    let routable = source.routable();
    source.end(routable[1].lease, &acked());
    assert!(!source.driver.machine().is_flushed(calls));
    source.end(routable[0].lease, &acked());
    assert!(source.driver.machine().is_flushed(calls));
    assert!(source.driver.machine().is_flushed(2));
}

#[test]
fn leases_that_ended_in_any_order_are_no_damage_to_the_next_run() {
    let mut source = Source::new(Queue::default(), 1, Storage::Disk);
    source.driver.machine().start_routing(1_000);
    for value in [b"a", b"b", b"c"] {
        source.send(value);
    }
    let routable = source.routable();
    source.end(routable[1].lease, &acked());
    let source = Source::new(source.queue.clone(), 2, Storage::Disk);
    source.driver.machine().start_routing(1_000);
    let routable = source.routable();
    assert_eq!(routable.len(), 2);
    for routable in routable {
        assert!(matches!(routable.origin, Origin::PreviousRun));
        source.end(routable.lease, &acked());
    }
    let machine = source.driver.machine();
    assert_eq!(machine.snapshot().damaged_records, 0);
    assert_eq!(machine.snapshot().replay.acked, 2);
    assert!(machine.is_drained());
}

#[test]
fn what_was_not_routed_is_left_on_disk_or_fails_in_memory() {
    for storage in [Storage::Disk, Storage::Memory] {
        let mut source = Source::new(Queue::default(), 1, storage);
        source.send(b"routed");
        source.send(b"leased");
        source.driver.machine().start_routing(1_000);
        source.settle();
        let routed = source.driver.machine().poll_routable().unwrap();
        source.send(b"stored");
        source.driver.machine().abandon(&FailReason::Stopped);
        let kept = match storage {
            Storage::Disk => Outcome::LeftInQueue,
            _ => Outcome::Failed(FailReason::Stopped),
        };
        let ends: Vec<_> = std::iter::from_fn(|| source.driver.machine().poll_end())
            .map(|ended| ended.completion.unwrap().outcome)
            .collect();
        assert_eq!(ends, [kept.clone(), kept]);
        source.end(routed.lease, &acked());
        let snapshot = source.driver.machine().snapshot();
        assert_eq!((snapshot.records.queued, snapshot.held_bytes), (0, 0));
        assert!(!source.driver.machine().has_outstanding());
        if storage == Storage::Disk {
            assert_eq!(source.queue.len(), 2, "the routed one is acknowledged");
        }
    }
}

fn body(values: &[&[u8]]) -> BatchBody {
    let mut encoder = BatchEncoder::new(1_000, 0);
    for value in values {
        let record = wolff_codec::records::Record {
            offset: wolff_codec::Offset(0),
            timestamp_ms: 1_000,
            key: None,
            value: Some(bytes::Bytes::copy_from_slice(value)),
            headers: Vec::new(),
        };
        assert!(encoder.push(&[record]));
    }
    encoder.finish().unwrap()
}

#[test]
fn batches_of_another_queue_go_behind_previous_runs_and_before_what_is_new() {
    let mut stage = Stage::new(config());
    stage.send_one(b"previous");
    stage.settle();
    let mut stage = stage.restarted();
    stage.send_one(b"new");
    stage.handle(Event::Foreign(Ticket(5), body(&[b"foreign"])));
    let first = stage.next_send().unwrap();
    stage.apply(&first);
    stage.drain();
    assert_eq!(stage.log(), [&b"previous"[..], b"foreign", b"new"]);
    let of_ticket: Vec<_> = stage
        .others
        .iter()
        .filter(|end| matches!(end.origin, Origin::Foreign(Ticket(5))))
        .collect();
    assert_eq!(of_ticket.len(), 1);
    assert_eq!(of_ticket[0].record_count, 1);
    let snapshot = stage.snapshot();
    assert_eq!(snapshot.records.acked, 1, "their own queue counts them");
}

#[test]
fn a_batch_of_another_queue_is_split_by_the_partition_and_each_part_has_one_end() {
    let mut stage = Stage::new(config());
    stage.broker.model.rules_mut().max_batch_bytes = 150;
    let values: Vec<Vec<u8>> = (0..6u8).map(|number| vec![number; 30]).collect();
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    stage.handle(Event::Foreign(Ticket(1), body(&values)));
    stage.drain();
    assert_eq!(stage.log(), values);
    let mut next = 0;
    for end in &stage.others {
        assert_eq!(end.first_record, next);
        next += end.record_count;
    }
    assert_eq!(next, 6);
}

#[test]
fn while_previous_runs_are_read_the_network_has_nothing_to_do_for_foreign_batches() {
    let mut stage = Stage::new(config());
    stage.send_one(b"previous");
    stage.settle();
    let mut stage = stage.restarted();
    stage.handle(Event::Foreign(Ticket(1), body(&[b"foreign"])));
    stage.queue.state().faults.leases = 2;
    let mut looks = 0;
    while stage.log().len() < 2 {
        looks += 1;
        assert!(looks < 50);
        // `next_send` asserts that wants_network and poll_action agree.
        match stage.next_send() {
            Some(transmit) => {
                stage.apply(&transmit);
            }
            None => assert!(stage.wait_for_timer()),
        }
    }
    assert_eq!(stage.log(), [&b"previous"[..], b"foreign"]);
}
