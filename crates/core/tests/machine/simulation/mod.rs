//! Random programs with a faulty broker, queue and process: what holds after every step, and when
//! the faults stop.

mod steps;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use wolff_codec::ErrorCode;
use wolff_codec::records::Records;
use wolff_core::{
    Action, Answer, ClusterRequest, Config, Event, FailReason, Idempotence, Outcome, QueueItem,
    Storage, Transmit,
};

use crate::support::Stage;
use steps::{QueueFault, Step, configs, step};

/// Fate of a record, as far as this process knows.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Known {
    /// Accepted in this run.
    Open,
    /// The process was killed while it was in the queue.
    InQueue,
    /// The process was killed: it may be sent or not.
    Gone,
    Ended(Outcome),
}

struct Simulation {
    stage: Option<Stage>,
    is_connected: bool,
    is_connecting: bool,
    request: Option<ClusterRequest>,
    in_flight: VecDeque<Transmit>,
    /// All records in the order in which they were accepted, and what became of them.
    records: BTreeMap<u32, Known>,
    /// Call number in this run by record.
    call_of: BTreeMap<u32, usize>,
    next: u32,
    /// Records of items that the queue lost.
    lost: BTreeSet<u32>,
    possibly_duplicated: u64,
    /// Records that may have failed, or ended in doubt, in a run that was killed before it could
    /// acknowledge them: the next run sends them after what was sent since.
    unordered: BTreeSet<u32>,
    /// Records of previous runs that failed.
    replay_failed: u64,
    /// Records of previous runs that ended in doubt: any number of copies can be in the log.
    replay_in_doubt: u64,
    /// Records went out without sequence numbers, or the broker forgot them.
    may_duplicate: bool,
}

fn number_of(value: &[u8]) -> u32 {
    u32::from_be_bytes(*value.first_chunk().unwrap())
}

impl Simulation {
    fn new(config: Config) -> Self {
        let may_duplicate = config.idempotence == Idempotence::Off;
        Self {
            stage: Some(Stage::new(config)),
            is_connected: false,
            is_connecting: false,
            request: None,
            in_flight: VecDeque::new(),
            records: BTreeMap::new(),
            call_of: BTreeMap::new(),
            next: 0,
            lost: BTreeSet::new(),
            possibly_duplicated: 0,
            unordered: BTreeSet::new(),
            replay_failed: 0,
            replay_in_doubt: 0,
            may_duplicate,
        }
    }

    fn stage(&mut self) -> &mut Stage {
        self.stage.as_mut().unwrap()
    }

    fn step(&mut self, step: Step) {
        self.stage().host.looks.set(0);
        match step {
            Step::Send { records, bytes } => self.send(records, usize::from(bytes)),
            Step::Appends => {
                let stage = self.stage();
                stage.driver.run_appends(&stage.host);
            }
            Step::Leases => {
                let stage = self.stage();
                stage.driver.run_leases(&stage.host);
            }
            Step::Ends => self.stage().take_ends(),
            Step::Act => self.act(),
            Step::Answer => {
                if let Some(transmit) = self.in_flight.pop_front() {
                    let answer = self.stage().broker.produce(&transmit);
                    self.answer(&transmit, answer);
                }
            }
            Step::ApplyThenAnswer(code) => {
                if let Some(transmit) = self.in_flight.pop_front() {
                    let broker = &mut self.stage().broker;
                    let answer = broker.produce_then_answer(&transmit, ErrorCode(code));
                    self.answer(&transmit, answer);
                }
            }
            Step::Refuse(code) => {
                if let Some(transmit) = self.in_flight.pop_front() {
                    let answer = Answer {
                        code: ErrorCode(code),
                        names_leader: code == 6,
                        ..Answer::default()
                    };
                    self.answer(&transmit, answer);
                }
            }
            Step::LoseLink {
                applied,
                knows_not_sent,
            } => self.lose_link(applied, knows_not_sent),
            Step::CutLink(times) => {
                for _ in 0..times {
                    self.cut_link();
                }
            }
            Step::Restart => {
                self.lose_link(5, false);
                self.stage().broker.restart();
            }
            Step::Forget => {
                // What is in doubt then is taken as new.
                self.may_duplicate = true;
                self.lose_link(0, false);
                self.stage().broker.model.forget_producers();
            }
            Step::ConnectFails => {
                if std::mem::take(&mut self.is_connecting) {
                    self.stage().handle(Event::ConnectFailed);
                }
            }
            Step::IdentityFails => {
                if self.request.take().is_some() {
                    self.stage()
                        .handle(Event::IdentityFailed { is_refused: false });
                }
            }
            Step::Limit(bytes) => {
                let rules = self.stage().broker.model.rules_mut();
                rules.max_batch_bytes = usize::from(bytes);
            }
            Step::Fail(fault) => {
                let mut state = self.stage().queue.state();
                match fault {
                    QueueFault::Append => state.faults.appends += 1,
                    QueueFault::Lease => state.faults.leases += 1,
                    QueueFault::Tag(fault) => state.faults.tags.push_back(fault),
                    QueueFault::Unleased => state.faults.unleased += 1,
                }
            }
            Step::Damage(which) => self.damage(usize::from(which)),
            Step::Wait(milliseconds) => {
                let stage = self.stage();
                let now = stage.now() + Duration::from_millis(u64::from(milliseconds));
                stage.host.now.set(now);
            }
            Step::Flush => {
                self.stage().driver.machine().flush();
            }
            Step::Kill => self.kill(),
        }
        self.stage().check();
    }

    fn send(&mut self, records: u8, bytes: usize) {
        let numbers: Vec<u32> = (self.next..).take(usize::from(records)).collect();
        let values: Vec<Vec<u8>> = numbers
            .iter()
            .map(|number| {
                let mut value = number.to_be_bytes().to_vec();
                value.resize(4 + bytes, (number % 7) as u8);
                value
            })
            .collect();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        if self.stage().send(&values).is_ok() {
            let call = self.stage().calls.len() - 1;
            for number in numbers {
                self.next = number + 1;
                self.records.insert(number, Known::Open);
                self.call_of.insert(number, call);
            }
        }
    }

    fn act(&mut self) {
        let stage = self.stage();
        let now = stage.now();
        let wants = stage.driver.machine().wants_network(now);
        let action = stage.driver.machine().poll_action(now);
        assert_eq!(wants, action.is_some(), "{action:?}");
        match action {
            Some(Action::Connect { .. }) => {
                assert!(!self.is_connected && !self.is_connecting);
                self.is_connecting = true;
            }
            Some(Action::Request(request)) => {
                assert!(self.is_connected && self.request.is_none());
                self.request = Some(request);
            }
            Some(Action::Send(transmit)) => {
                assert!(self.is_connected, "nothing is sent on a link that is gone");
                self.in_flight.push_back(transmit);
            }
            Some(Action::Disconnect) => {
                assert!(self.in_flight.is_empty(), "no answer is thrown away");
                self.is_connected = false;
                self.request = None;
            }
            None if self.is_connecting => {
                self.is_connecting = false;
                self.is_connected = true;
                self.stage().connected();
            }
            None => {
                if let Some(request) = self.request.take() {
                    self.stage().answer_request(request);
                }
            }
        }
    }

    fn answer(&mut self, transmit: &Transmit, answer: Answer) {
        self.stage().handle(Event::Answered(transmit.batch, answer));
    }

    fn lose_link(&mut self, applied: u8, knows_not_sent: bool) {
        if !self.is_connected {
            return;
        }
        self.is_connected = false;
        self.request = None;
        let in_flight: Vec<Transmit> = self.in_flight.drain(..).collect();
        for (index, transmit) in in_flight.iter().enumerate() {
            let is_applied = index < usize::from(applied);
            if is_applied {
                self.stage().broker.produce(transmit);
            }
            if knows_not_sent {
                self.stage().handle(Event::RequestFailed {
                    batch: transmit.batch,
                    not_sent: !is_applied,
                });
            }
        }
        self.stage().handle(Event::Disconnected);
    }

    /// The link is lost in the middle of the next request, if there is one.
    fn cut_link(&mut self) {
        self.lose_link(0, true);
        for _ in 0..8 {
            if !self.in_flight.is_empty() {
                break;
            }
            let stage = self.stage();
            stage.driver.run_leases(&stage.host);
            let now = stage.now();
            if let Some(at) = stage.driver.machine().poll_timeout(now) {
                stage.host.now.set(at.max(now));
            }
            self.act();
        }
        self.lose_link(0, true);
    }

    /// The queue loses an item that is there.
    fn damage(&mut self, which: usize) {
        let (item, payload) = {
            let state = self.stage().queue.state();
            if state.items.is_empty() {
                return;
            }
            let at = which % state.items.len();
            let (item, payload) = state.items.iter().nth(at).unwrap();
            (*item, payload.clone())
        };
        self.lost.extend(numbers_in(&payload));
        self.stage().queue.state().lost.insert(item);
    }

    fn kill(&mut self) {
        if self.stage().config.storage == Storage::Memory {
            return;
        }
        // What was decided and not reported dies with the process; it counts for the order all the
        // same.
        self.stage().reports = false;
        self.stage().take_ends();
        self.learn_ends();
        let in_queue: BTreeSet<u32> = {
            let state = self.stage().queue.state();
            let payloads: Vec<Bytes> = state.items.values().cloned().collect();
            drop(state);
            payloads.iter().flat_map(numbers_in).collect()
        };
        let snapshot = self.stage().snapshot();
        let has_failed = snapshot.replay.failed + snapshot.replay.in_doubt > 0;
        for (number, known) in &mut self.records {
            // Killed before its item was acknowledged, a run leaves what has failed to the next
            // one.
            let was_given_up = matches!(
                known,
                Known::Ended(Outcome::Failed(_) | Outcome::InDoubt(_))
            );
            if was_given_up && in_queue.contains(number) {
                *known = Known::Gone;
                self.unordered.insert(*number);
            }
            if *known == Known::InQueue && has_failed && in_queue.contains(number) {
                self.unordered.insert(*number);
            }
            if *known == Known::Open {
                *known = if in_queue.contains(number) || self.lost.contains(number) {
                    Known::InQueue
                } else {
                    Known::Gone
                };
            }
        }
        self.possibly_duplicated += snapshot.possibly_duplicated_records;
        self.replay_failed += snapshot.replay.failed;
        self.replay_in_doubt += snapshot.replay.in_doubt;
        self.call_of.clear();
        self.is_connected = false;
        self.is_connecting = false;
        self.request = None;
        // What is in the socket is read by the broker, in order, as far as it gets.
        let in_flight: Vec<Transmit> = self.in_flight.drain(..).collect();
        for transmit in &in_flight {
            self.stage().broker.produce(transmit);
        }
        let stage = self.stage.take().unwrap();
        self.stage = Some(stage.restarted());
    }

    fn learn_ends(&mut self) {
        let stage = self.stage.as_ref().unwrap();
        for (number, call) in &self.call_of {
            if let Some(outcome) = stage.end_of(*call) {
                self.records.insert(*number, Known::Ended(outcome));
            }
        }
    }

    /// The faults stop: everything drains.
    fn finish(&mut self) {
        self.lose_link(0, false);
        if std::mem::take(&mut self.is_connecting) {
            self.stage().handle(Event::ConnectFailed);
        }
        let stage = self.stage();
        stage.queue.state().faults = crate::support::Faults::default();
        stage.broker.model.rules_mut().max_batch_bytes = 1_000_000;
        stage.driver.machine().flush();
        stage.drain();
        assert_eq!((stage.queue.len(), stage.queue.open_leases()), (0, 0));
        let snapshot = self.stage().snapshot();
        self.possibly_duplicated += snapshot.possibly_duplicated_records;
        self.replay_failed += snapshot.replay.failed;
        self.replay_in_doubt += snapshot.replay.in_doubt;
        self.learn_ends();
        self.check_log();
    }

    fn check_log(&self) {
        let log: Vec<u32> = self
            .stage
            .as_ref()
            .unwrap()
            .log()
            .iter()
            .map(|value| number_of(value))
            .collect();
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        let mut firsts = Vec::new();
        for number in &log {
            let count = counts.entry(*number).or_default();
            if *count == 0 && !self.unordered.contains(number) {
                firsts.push(*number);
            }
            *count += 1;
        }
        assert!(firsts.is_sorted(), "order: {firsts:?}");
        let mut missing = 0;
        for (number, known) in &self.records {
            let count = counts.get(number).copied().unwrap_or(0);
            let was_lost = self.lost.contains(number);
            match known {
                Known::Open => panic!("record {number} has no end"),
                Known::InQueue if count == 0 && !was_lost => missing += 1,
                Known::InQueue => {}
                Known::Gone => {}
                Known::Ended(Outcome::Acked { .. }) => {
                    assert!(count > 0, "record {number} was acked and is not there");
                }
                Known::Ended(Outcome::Failed(reason)) => {
                    assert_eq!(count, 0, "record {number} failed: {reason}");
                    if *reason == FailReason::QueueDamaged {
                        assert!(was_lost, "record {number} was not damaged");
                    }
                }
                Known::Ended(Outcome::InDoubt(_)) => {}
                Known::Ended(other) => panic!("record {number}: {other:?}"),
            }
        }
        let given_up = self.replay_failed + self.replay_in_doubt;
        assert!(
            missing <= given_up,
            "{missing} records of previous runs are missing, {given_up} were given up"
        );
        // An end in doubt says nothing of the number of copies, nor does damage.
        let is_told = |number: &u32| {
            self.lost.contains(number)
                || matches!(self.records[number], Known::Ended(Outcome::InDoubt(_)))
        };
        let twice = counts
            .iter()
            .filter(|(number, count)| **count > 1 && !is_told(number))
            .count() as u64;
        if !self.may_duplicate {
            let counted = self.possibly_duplicated + self.replay_in_doubt;
            assert!(
                twice <= counted,
                "{twice} records are there twice, {counted} are counted"
            );
        }
    }
}

fn numbers_in(payload: &Bytes) -> Vec<u32> {
    let item = QueueItem::decode(payload).unwrap();
    Records::of_frame(item.fragment())
        .map(|record| number_of(&record.unwrap().value.unwrap()))
        .collect()
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(1_500)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_records_keep_their_order_and_come_to_one_end(
        config in configs(),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let mut simulation = Simulation::new(config);
        for step in steps {
            simulation.step(step);
        }
        simulation.finish();
    }
}
