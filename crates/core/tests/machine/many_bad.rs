//! Batches of which the broker names thousands of records as invalid: the work grows with their
//! number, not with its square.

use std::time::Instant;

use bytes::BytesMut;
use wolff_codec::records::{Compression, CompressionLevel, RecordRef};
use wolff_codec::{ErrorCode, ProducerEpoch};
use wolff_core::{
    Action, AppendOperation, ClusterRequest, Config, Driver, Event, FailReason, LeaseOperation,
    Machine, Opening, Outcome, Partition,
};

use crate::support::{Broker, Host, Queue, Stage, config};

/// Records of the batch; a power of two.
const RECORDS: u32 = 4_096;

/// A machine that counts the work of splitting.
#[derive(Debug)]
struct Counting {
    machine: Partition<u32>,
    counted: Counted,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// Records of batches that were split: each of them is encoded again.
    encoded_again: u32,
    /// The most pieces that were made at once: what the machine looks through at each step.
    most_pieces: usize,
}

impl Machine for Counting {
    fn poll_append(&mut self, now: Instant) -> Option<AppendOperation> {
        self.machine.poll_append(now)
    }

    fn poll_lease(&mut self, now: Instant) -> Option<LeaseOperation> {
        let operation = self.machine.poll_lease(now);
        if let Some(LeaseOperation::Split { body, .. }) = &operation {
            self.counted.encoded_again += body.record_count();
        }
        operation
    }

    fn handle(&mut self, event: Event, now: Instant) {
        if let Event::Split(_, pieces) = &event {
            self.counted.most_pieces = self.counted.most_pieces.max(pieces.len());
        }
        self.machine.handle(event, now);
    }
}

/// One batch of calls of a record each, sent until all of them have ended: their ends in order,
/// how many are in the log, and the work that it took.
fn ends_of(is_bad: impl Fn(u32) -> bool) -> (Vec<Outcome>, usize, Counted) {
    let config = Config {
        max_batch_bytes: 16 << 20,
        ..config()
    };
    let machine = Counting {
        machine: Partition::new(&config, Queue::default().reopen().recovered),
        counted: Counted::default(),
    };
    let host = Host::new();
    let compression = (Compression::None, CompressionLevel::default());
    let driver = Driver::new(machine, Queue::default(), compression, Vec::new());
    let now = host.now.get();
    for number in 0..RECORDS {
        let good = number.to_be_bytes();
        let value: &[u8] = if is_bad(number) { b"bad" } else { &good };
        let record = RecordRef {
            timestamp_ms: 1_000,
            value: Some(value),
            ..RecordRef::default()
        };
        let opening = || Opening {
            token: 0,
            now,
            now_ms: 1_000,
        };
        let mut machine = driver.machine();
        let accepted = machine
            .machine
            .accept([record].into_iter(), true, opening, |_| BytesMut::new());
        assert_eq!(accepted.unwrap().call_no, u64::from(number));
    }
    let mut broker = Broker::new();
    broker.invalid = vec![b"bad".to_vec()];
    let mut ends = Vec::new();
    while ends.len() < RECORDS as usize {
        host.looks.set(0);
        driver.run_appends(&host);
        driver.run_leases(&host);
        let ended = driver.machine().machine.poll_end();
        if let Some(ended) = ended {
            let completion = ended.completion.unwrap();
            assert_eq!(completion.first_record as usize, ends.len(), "in order");
            ends.extend((0..completion.record_count).map(|_| completion.outcome.clone()));
            continue;
        }
        let now = host.now.get();
        let action = driver.machine().machine.poll_action(now);
        let event = match action {
            Some(Action::Connect { .. }) => Event::Connected(Stage::leader()),
            Some(Action::Request(ClusterRequest::Identity(request))) => {
                let fresh = || (broker.new_producer_id(), ProducerEpoch(0));
                let (producer_id, epoch) = request.next_epoch().unwrap_or_else(fresh);
                Event::IdentityGranted { producer_id, epoch }
            }
            Some(Action::Send(transmit)) => {
                Event::Answered(transmit.batch, broker.produce(&transmit))
            }
            Some(other) => panic!("{other:?}"),
            None => {
                let at = driver.machine().machine.poll_timeout(now).unwrap();
                assert!(at > now, "a timer in the past makes a loop that spins");
                host.now.set(at);
                continue;
            }
        };
        driver.machine().handle(event, now);
    }
    let logged = broker.log().len();
    let counted = driver.machine().counted;
    (ends, logged, counted)
}

fn assert_linear(counted: &Counted) {
    assert!(
        counted.most_pieces <= 129,
        "{} pieces at once",
        counted.most_pieces
    );
    // Once for each halving down to 64 records, and once to separate these.
    let most = RECORDS * (RECORDS / 64).ilog2() + RECORDS;
    assert!(
        counted.encoded_again <= most,
        "{} records encoded again, {most} expected",
        counted.encoded_again
    );
}

fn is_named(end: &Outcome) -> bool {
    let Outcome::Failed(FailReason::Rejected { code, message }) = end else {
        return false;
    };
    assert_eq!(*code, ErrorCode::INVALID_RECORD);
    message.as_deref().unwrap().ends_with("is bad")
}

#[test]
fn a_batch_of_bad_records_alone_is_refused_in_one_request() {
    let (ends, logged, counted) = ends_of(|_| true);
    assert!(ends.iter().all(is_named));
    assert_eq!(logged, 0);
    assert_linear(&counted);
}

#[test]
fn bad_records_between_good_ones_fail_and_the_others_are_sent() {
    let (ends, logged, counted) = ends_of(|number| number % 2 == 0);
    for (number, end) in (0..).zip(&ends) {
        match number % 2 {
            0 => assert!(is_named(end), "{number}: {end:?}"),
            _ => assert!(
                matches!(
                    end,
                    Outcome::Acked {
                        possibly_duplicated: false,
                        ..
                    }
                ),
                "{number}: {end:?}"
            ),
        }
    }
    assert_eq!(logged, RECORDS as usize / 2);
    assert_linear(&counted);
}

#[test]
fn a_few_bad_records_are_separated_at_once() {
    let (ends, logged, counted) = ends_of(|number| number % 1_024 == 7);
    assert_eq!(ends.iter().filter(|end| is_named(end)).count(), 4);
    assert_eq!(logged, RECORDS as usize - 4);
    assert_eq!(counted.most_pieces, 9);
    assert_eq!(counted.encoded_again, RECORDS);
}
