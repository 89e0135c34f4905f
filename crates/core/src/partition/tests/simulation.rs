//! Random programs with a faulty broker: the obligations hold at the end, whatever happened.

use std::time::Duration;

use proptest::prelude::*;
use wolff_codec::{ErrorCode, ProducerEpoch};

use super::harness::{Harness, config};
use crate::action::{Action, Transmit};
use crate::config::{Config, Durability, Idempotence};
use crate::outcome::Outcome;

#[derive(Debug, Clone)]
enum Step {
    Send {
        records: u8,
        bytes: u16,
    },
    /// Queue work, one operation.
    Queue,
    /// One network action.
    Act,
    /// The broker answers the oldest request.
    Answer,
    /// The broker applies the oldest request, and the link is lost with the answer.
    ApplyAndLoseLink,
    /// The broker applies so many requests, and is restarted before it answers.
    Restart(u8),
    LoseLink,
    Refuse(i16),
    ConnectFails,
    Wait(u16),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..4, 0u16..300).prop_map(|(records, bytes)| Step::Send { records, bytes }),
        6 => Just(Step::Queue),
        8 => Just(Step::Act),
        6 => Just(Step::Answer),
        1 => Just(Step::ApplyAndLoseLink),
        1 => (0u8..6).prop_map(Step::Restart),
        1 => Just(Step::LoseLink),
        1 => prop_oneof![Just(19i16), Just(6), Just(7), Just(3), Just(5)].prop_map(Step::Refuse),
        1 => Just(Step::ConnectFails),
        2 => (0u16..3000).prop_map(Step::Wait),
        1 => Just(Step::Flush),
    ]
}

struct Run {
    harness: Harness,
    in_flight: Vec<Transmit>,
    connecting: bool,
    /// Values in the order in which they were accepted.
    accepted: Vec<Vec<u8>>,
    number: u32,
}

impl Run {
    fn take(&mut self, step: &Step) {
        let now = self.harness.now;
        match step {
            Step::Send { records, bytes } => self.send(*records, *bytes),
            Step::Queue => {
                self.harness.step_queue();
            }
            Step::Act => self.act(),
            Step::Answer => {
                if !self.in_flight.is_empty() {
                    let transmit = self.in_flight.remove(0);
                    self.harness.apply(&transmit);
                }
            }
            Step::ApplyAndLoseLink => {
                if !self.in_flight.is_empty() {
                    let transmit = self.in_flight.remove(0);
                    self.harness.broker.produce(&transmit);
                    self.lose_link();
                }
            }
            Step::Restart(applied) => {
                for transmit in self.in_flight.iter().take(usize::from(*applied)) {
                    self.harness.broker.produce(transmit);
                }
                self.lose_link();
                self.harness.broker.reload();
            }
            Step::LoseLink => self.lose_link(),
            Step::Refuse(code) => {
                if !self.in_flight.is_empty() {
                    let transmit = self.in_flight.remove(0);
                    self.harness.answer(&transmit, ErrorCode(*code), None);
                }
            }
            Step::ConnectFails => {
                if std::mem::take(&mut self.connecting) {
                    self.harness.machine.handle_connect_failed(now);
                }
            }
            Step::Wait(ms) => self.harness.now = now + Duration::from_millis(u64::from(*ms)),
            Step::Flush => {
                self.harness.machine.flush();
            }
        }
        self.harness.machine.handle_timeout(self.harness.now);
    }

    fn send(&mut self, records: u8, bytes: u16) {
        let values: Vec<Vec<u8>> = (0..records)
            .map(|_| {
                self.number += 1;
                let mut value = self.number.to_be_bytes().to_vec();
                value.resize(4 + usize::from(bytes), 7);
                value
            })
            .collect();
        let borrowed: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        if self.harness.send(&borrowed).is_ok() {
            self.accepted.extend(values);
        }
    }

    fn lose_link(&mut self) {
        if !self.connecting {
            self.in_flight.clear();
            self.harness.machine.handle_disconnected(self.harness.now);
        }
    }

    fn act(&mut self) {
        if self.connecting {
            self.connecting = false;
            self.harness.machine.handle_connected();
        }
        match self.harness.machine.poll_action(self.harness.now) {
            Some(Action::Connect { .. }) => self.connecting = true,
            Some(Action::InitProducerId) => {
                let id = self.harness.broker.new_producer_id();
                self.harness
                    .machine
                    .handle_producer_id(id, ProducerEpoch(0));
            }
            Some(Action::Send(transmit)) => self.in_flight.push(transmit),
            Some(Action::Disconnect) => self.lose_link(),
            None => {}
        }
    }

    /// The faults are over.
    fn finish(&mut self) {
        self.connecting = false;
        let connecting = matches!(
            self.harness.machine.link.state,
            crate::link::LinkState::Connecting
        );
        if connecting {
            self.harness.machine.handle_connect_failed(self.harness.now);
        }
        self.lose_link();
        self.harness.settle();
        self.harness.drain();
    }

    fn check_ends(&self) {
        let snapshot = self.harness.machine.snapshot();
        assert_eq!(snapshot.accepted_records, self.accepted.len() as u64);
        assert_eq!(
            snapshot.acked_records + snapshot.failed_records,
            snapshot.accepted_records,
            "each record ends once"
        );
        assert_eq!(snapshot.finished_calls, snapshot.accepted_calls);
        assert_eq!(snapshot.held_bytes, 0);
        let told: u64 = self
            .harness
            .completions
            .iter()
            .map(|completion| u64::from(completion.record_count))
            .sum();
        assert_eq!(told, snapshot.accepted_records, "each end is told once");
        assert!(self.harness.leases.is_empty() && self.harness.queue.is_empty());
    }
}

fn run(config: Config, max_batch: Option<usize>, steps: &[Step]) -> Run {
    let mut harness = Harness::new(config);
    harness.broker.max_batch_bytes = max_batch;
    let mut run = Run {
        harness,
        in_flight: Vec::new(),
        connecting: false,
        accepted: Vec::new(),
        number: 0,
    };
    steps.iter().for_each(|step| run.take(step));
    run.finish();
    run.check_ends();
    run
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn with_an_identity_everything_arrives_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..200),
        max_batch_bytes in 100usize..2000,
        linger_ms in prop_oneof![Just(0u64), 1u64..50],
        memory in any::<bool>(),
    ) {
        let durability = if memory { Durability::Memory } else { Durability::Queue };
        let linger = Duration::from_millis(linger_ms);
        let run = run(Config { max_batch_bytes, linger, durability, ..config() }, None, &steps);
        prop_assert_eq!(&run.harness.broker.log, &run.accepted);
    }

    #[test]
    fn without_an_identity_nothing_is_lost_and_first_arrivals_are_in_order(
        steps in proptest::collection::vec(step(), 1..200),
        max_batch_bytes in 100usize..2000,
    ) {
        let config = Config { max_batch_bytes, idempotence: Idempotence::Off, max_in_flight: 1, ..config() };
        let run = run(config, None, &steps);
        let mut seen = std::collections::BTreeSet::new();
        let firsts: Vec<_> = run.harness.broker.log.iter().filter(|value| seen.insert((*value).clone())).cloned().collect();
        prop_assert_eq!(&firsts, &run.accepted);
    }

    #[test]
    fn a_small_broker_gets_all_that_it_can_take_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..150),
        limit in 100usize..600,
    ) {
        let run = run(config(), Some(limit), &steps);
        let mut log = run.harness.broker.log.iter();
        // What is in the log is a subsequence of what was accepted: nothing twice, nothing out of order.
        let mut acked = 0u64;
        let mut next = log.next();
        for value in &run.accepted {
            if next == Some(value) {
                acked += 1;
                next = log.next();
            }
        }
        prop_assert_eq!(next, None);
        prop_assert_eq!(acked, run.harness.machine.snapshot().acked_records);
        let failed = run.harness.completions.iter().filter(|end| matches!(end.outcome, Outcome::Failed(_))).count();
        prop_assert_eq!(failed > 0, run.harness.machine.snapshot().failed_records > 0);
    }
}
