//! Records that were accepted before the partitions were known, and their way through a partition.

use std::time::Duration;

use bytes::BytesMut;
use wolff_codec::PartitionId;
use wolff_codec::records::{CompressionLevel, RecordRef};
use wolff_core::{
    BatchBody, BatchEncoder, Config, Driver, DriverHost, Event, FailReason, LeaseNo, Opening,
    Origin, Outcome, Routable, RoutedCall, RoutedEnd, Storage, Ticket, Unrouted,
};

use crate::support::{Fault, Host, Queue, Stage, config, values_of};

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

    /// Routes all that can be routed now, to one partition.
    fn routable(&self) -> Vec<Routable<u32>> {
        self.settle();
        let routable = std::iter::from_fn(|| self.driver.machine().poll_routable());
        let routable: Vec<_> = routable.collect();
        for routable in &routable {
            assert_eq!(self.route(routable, PARTITION), [true]);
        }
        routable
    }

    /// Has the only call of a batch go to a partition.
    fn route(&self, routable: &Routable<u32>, partition: PartitionId) -> Vec<bool> {
        let call = RoutedCall {
            first_record: 0,
            records: 1,
            partition,
        };
        let (lease, part, now) = (routable.lease, &routable.part, self.host.now());
        let routed = self.driver.machine().route(lease, part, &[call], now);
        routed.unwrap()
    }

    /// The records of a lease came to their end at a partition.
    fn end(&self, lease: LeaseNo, outcome: &Outcome) {
        let ended = self.driver.machine().ended(&RoutedEnd {
            lease,
            at: Some((PARTITION, self.host.now())),
            records: &[(0, 1)],
            calls: 1,
            outcome,
            was_sent: false,
        });
        if let Some(ended) = ended {
            let now = self.host.now();
            let event = Event::Reported(ended);
            wolff_core::Machine::handle(&mut *self.driver.machine(), event, now);
        }
        self.settle();
    }
}

const PARTITION: PartitionId = PartitionId(0);

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
        source.route(&routed, PARTITION);
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

fn foreign(ticket: u64, values: &[&[u8]]) -> Event {
    Event::Foreign {
        ticket: Ticket(ticket),
        body: body(values),
        was_sent: false,
    }
}

#[test]
fn batches_of_another_queue_go_behind_previous_runs_and_before_what_is_new() {
    let mut stage = Stage::new(config());
    stage.send_one(b"previous");
    stage.settle();
    let mut stage = stage.restarted();
    stage.send_one(b"new");
    stage.handle(foreign(5, &[b"foreign"]));
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
    stage.handle(foreign(1, &values));
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
    stage.handle(foreign(1, &[b"foreign"]));
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

const OTHER: PartitionId = PartitionId(1);

/// A source that has started to route, with so many calls for a partition that takes none.
fn with_deferred(calls: u8) -> (Source, Vec<Routable<u32>>) {
    let mut source = Source::new(Queue::default(), 1, Storage::Disk);
    for number in 0..calls {
        source.send(&[number; 44]);
    }
    // Room for four, one of them for each partition.
    source.driver.machine().start_routing(4 * 51);
    source.settle();
    let mut polled = Vec::new();
    loop {
        source.settle();
        let Some(routable) = source.driver.machine().poll_routable() else {
            break;
        };
        let goes = source.route(&routable, PARTITION);
        assert_eq!(goes, [polled.is_empty()], "one is with the partition");
        polled.push(routable);
    }
    assert_eq!(
        polled.len(),
        usize::from(calls),
        "all of them were looked at"
    );
    (source, polled)
}

#[test]
fn what_a_partition_does_not_take_waits_in_its_lease_and_others_go_on() {
    let (mut source, polled) = with_deferred(9);
    assert_eq!(source.driver.machine().deferring(), [PARTITION]);
    assert!(source.driver.machine().is_routed());
    source.send(b"for another");
    source.settle();
    let other = source.driver.machine().poll_routable().unwrap();
    assert_eq!(source.route(&other, OTHER), [true]);
    source.end(other.lease, &acked());
    // A call behind it waits too, or it would overtake.
    source.send(b"new");
    source.settle();
    let new = source.driver.machine().poll_routable().unwrap();
    assert_eq!(source.route(&new, PARTITION), [false]);
    assert!(
        !source.driver.machine().wants_lease(source.host.now()),
        "nothing spins"
    );
    // The partition moves, and gets the others one after the other, in order.
    let expected = polled.iter().skip(1).map(|routable| routable.lease);
    let expected: Vec<_> = expected.chain([new.lease]).collect();
    let mut last = polled[0].lease;
    let mut got = Vec::new();
    while got.len() < expected.len() {
        source.end(last, &acked());
        let routable = source.driver.machine().poll_routable().unwrap();
        assert_eq!(source.route(&routable, PARTITION), [true]);
        last = routable.lease;
        got.push(last);
    }
    assert_eq!(got, expected);
    source.end(last, &acked());
    assert!(source.driver.machine().deferring().is_empty());
    assert!(source.driver.machine().is_drained());
    assert_eq!((source.queue.len(), source.queue.open_leases()), (0, 0));
    let snapshot = source.driver.machine().snapshot();
    assert_eq!((snapshot.records.acked, snapshot.held_bytes), (11, 0));
}

#[test]
fn deferred_calls_that_are_given_up_are_left_and_end_once() {
    let (source, polled) = with_deferred(3);
    source.driver.machine().abandon(&FailReason::Stopped);
    let ends: Vec<_> = std::iter::from_fn(|| source.driver.machine().poll_end())
        .map(|ended| ended.completion.unwrap().outcome)
        .collect();
    assert_eq!(ends, [Outcome::LeftInQueue, Outcome::LeftInQueue]);
    source.end(polled[0].lease, &acked());
    let snapshot = source.driver.machine().snapshot();
    assert_eq!((snapshot.records.left, snapshot.records.acked), (2, 1));
    assert_eq!(source.queue.len(), 2);
}

#[test]
fn records_that_were_perhaps_sent_are_known_as_such_to_the_next_run() {
    let mut source = Source::new(Queue::default(), 1, Storage::Disk);
    source.driver.machine().start_routing(1_000);
    source.send(b"on its way");
    source.settle();
    let _killed_with_it = source.routable();
    let mut source = Source::new(source.queue.clone(), 2, Storage::Disk);
    source.send(b"new");
    source.driver.machine().start_routing(1_000);
    let were_sent: Vec<_> = source
        .routable()
        .iter()
        .map(|routable| routable.was_sent)
        .collect();
    assert_eq!(were_sent, [true, false]);
}

#[test]
fn a_lease_whose_tag_cannot_be_written_waits_and_none_is_tagged_behind_one_without() {
    let source = &mut Source::new(Queue::default(), 1, Storage::Disk);
    source.driver.machine().start_routing(1 << 20);
    source.queue.state().faults.tags = [Fault::NotDone; 4].into();
    source.send(b"first");
    for tries in 1..4 {
        assert!(source.routable().is_empty());
        assert_eq!(source.queue.state().faults.tags.len(), 4 - tries);
        let now = source.host.now.get();
        let at = source.driver.machine().poll_timeout(now).unwrap();
        source.host.now.set(at);
    }
    // A disk that takes no tag must be emptied all the same.
    assert_eq!(source.routable().len(), 1);
    source.send(b"second");
    source
        .host
        .now
        .set(source.host.now.get() + Duration::from_secs(60));
    let second = source.routable();
    assert_eq!(second.len(), 1);
    assert!(
        source.queue.state().tags.is_empty(),
        "the next run would send it first"
    );
    source.end(LeaseNo(0), &acked());
    source.end(second[0].lease, &acked());
    source.send(b"third");
    assert_eq!(source.routable().len(), 1);
    assert_eq!(source.queue.state().tags.len(), 1);
}

#[test]
fn calls_that_are_held_are_stored_when_the_batches_of_other_queues_have_ended() {
    for is_stopped in [false, true] {
        let mut stage = Stage::new(config());
        stage.driver.machine().hold_appends();
        stage.send_one(b"stored");
        stage.settle();
        assert_eq!(stage.queue.len(), 1, "nothing is waited for");
        stage.handle(foreign(1, &[b"foreign"]));
        stage.driver.machine().hold_appends();
        let held = stage.send_one(b"held");
        let transmit = stage.next_send().unwrap();
        assert_eq!(values_of(&transmit), [b"foreign"]);
        assert_eq!((stage.queue.len(), stage.snapshot().queued_calls), (1, 1));
        if is_stopped {
            stage.driver.machine().wind_down();
            stage.settle();
            let stopped = Outcome::Failed(FailReason::Stopped);
            assert_eq!(stage.end_of(held), Some(stopped));
            assert_eq!(stage.snapshot().queued_calls, 2, "nobody waits for it");
            continue;
        }
        stage.apply(&transmit);
        stage.settle();
        assert_eq!((stage.queue.len(), stage.snapshot().queued_calls), (2, 2));
        stage.drain();
        assert_eq!(stage.log(), [&b"foreign"[..], b"stored", b"held"]);
    }
}
