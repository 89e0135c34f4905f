//! The producer beside the cluster, and what it does by itself.

mod checks;
mod steps;

mod batches;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use wolff_codec::{BrokerId, ErrorCode, Offset, ProducerEpoch, ProducerId};
use wolff_testbroker::partition::{ACKS_ALL, PartitionModel, Rules};

use self::batches::{body, facts, stamp_of};
use super::bounds::{Bounds, Events, Number};
use crate::action::{Action, ClusterRequest, LeaseNo, LeaseOperation, Origin, Ticket};
use crate::batch::{BatchNo, Stamp};
use crate::config::{Config, Storage};
use crate::ends::Ends;
use crate::event::Answer;
use crate::outcome::Outcome;
use crate::resume::{Fate, ResumePlan};
use crate::sending::Sending;
use crate::sending::slot::{Doubt, Resumed, SlotParts};
use crate::stamp_tag::{LeaseTag, StampedBatch};

/// The broker at the other end of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Side {
    Leader,
    /// It led before the last election.
    Deposed,
}

/// A request on its way.
#[derive(Clone, Debug)]
struct Request {
    batch: BatchNo,
    number: Number,
    stamp: Stamp,
    /// The high watermark at which it is answered, once it was taken, and the answer's offset.
    waits_for: Option<(Offset, Offset)>,
}

/// Two replicas, and one connection to them.
#[derive(Clone)]
struct Cluster {
    model: PartitionModel<Number>,
    /// The view of a broker that led before and does not know that it leads no more.
    deposed: Option<PartitionModel<Number>>,
    connected: Option<Side>,
    /// An attempt to connect, and whether it has fresh metadata.
    connecting: Option<bool>,
    requests: VecDeque<Request>,
    /// Requests of connections that are gone, in the socket of a broker.
    ghosts: VecDeque<(Side, Number, Stamp)>,
}

impl Cluster {
    fn at(&mut self, side: Side) -> Option<&mut PartitionModel<Number>> {
        match side {
            Side::Leader => Some(&mut self.model),
            Side::Deposed => self.deposed.as_mut(),
        }
    }

    /// Leaves what is on its way and was not taken in the broker's socket.
    fn lose_requests(&mut self) {
        let side = self.connected.unwrap_or(Side::Leader);
        for request in std::mem::take(&mut self.requests) {
            if request.waits_for.is_none() {
                self.ghosts.push_back((side, request.number, request.stamp));
            }
        }
    }
}

/// Batches that the producer has leased, and those whose end it has told: a bit for each.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    leased: u16,
    acked: u16,
    counted: u16,
}

/// All there is.
#[derive(Clone)]
pub(super) struct World {
    sending: Sending<()>,
    now: Instant,
    cluster: Cluster,
    /// Of the leases that are open, by number.
    tags: Vec<Option<Bytes>>,
    told: Told,
    next_id: i64,
    left: Events,
    bounds: Bounds,
}

impl World {
    /// The states in which a killed run can leave the cluster: so many batches were appended, so
    /// many of those have reached the follower, so many more are in the leader's socket.
    pub(super) fn starts(bounds: Bounds) -> Vec<Self> {
        let mut starts = Vec::new();
        for appended in 0..=bounds.sent {
            for replicated in 0..=appended {
                for ghosts in appended..=bounds.sent {
                    starts.push(Self::start(bounds, appended, replicated, ghosts));
                }
            }
        }
        starts
    }

    fn start(bounds: Bounds, appended: Number, replicated: Number, ghosts: Number) -> Self {
        let rules = Rules {
            unknown_producers: bounds.unknown,
            ..Rules::default()
        };
        let mut model = PartitionModel::new(rules, [BrokerId(1), BrokerId(2)]);
        model.set_replicating(false);
        let stamp = |number| stamp_of(number, bounds.has_acked);
        let first = Number::from(!bounds.has_acked);
        for number in first..=appended {
            model
                .produce(&facts(stamp(number)), ACKS_ALL, 0, number)
                .unwrap();
            if number <= replicated {
                model.replicate(BrokerId(2));
            }
        }
        let acked_through = if bounds.has_acked { 0 } else { -1 };
        let tags = (0..=bounds.stamped + 1).map(|number| {
            let is_stamped = (1..=bounds.stamped).contains(&number) && bounds.hole != Some(number);
            is_stamped.then(|| tag(stamp(number), acked_through))
        });
        let mut world = Self {
            sending: Sending::new(&Config::default(), &ResumePlan::default(), false),
            now: Instant::now(),
            cluster: Cluster {
                model,
                deposed: None,
                connected: None,
                connecting: None,
                requests: VecDeque::new(),
                ghosts: (appended + 1..=ghosts)
                    .map(|number| (Side::Leader, number, stamp(number)))
                    .collect(),
            },
            tags: tags.collect(),
            told: Told::default(),
            next_id: 1,
            left: bounds.events,
            bounds,
        };
        world.open();
        world
    }

    pub(super) fn all(&self) -> u16 {
        (1..=self.bounds.stamped + Number::from(self.bounds.has_rest))
            .filter(|number| self.bounds.hole != Some(*number))
            .fold(0, |all, n| all | bit(n))
    }

    /// A run begins: what the tags say is pushed as the partition does.
    pub(super) fn open(&mut self) {
        let config = Config {
            storage: Storage::Disk,
            ..Config::default()
        };
        let tags: Vec<Bytes> = self.tags.iter().flatten().cloned().collect();
        let mut plan = ResumePlan::new(&tags);
        self.sending = Sending::new(&config, &plan, false);
        let open: Vec<Number> = (0..)
            .zip(&self.tags)
            .filter(|(_, tag)| tag.is_some())
            .map(|(n, _)| n)
            .collect();
        for number in open {
            let (fate, stamp) = plan.next().fate(0, 1);
            let (doubt, resumed) = match (fate, stamp) {
                (Fate::InDoubt, Some(stamp)) => (Doubt::Pending, Resumed::Stamped(stamp)),
                (Fate::InDoubtAgain, Some(stamp)) => (Doubt::Unresolvable, Resumed::Stamped(stamp)),
                (Fate::Delivered, _) => (Doubt::None, Resumed::Delivered),
                (Fate::NotAppended, _) => (Doubt::None, Resumed::New),
                _ => (Doubt::Unresolvable, Resumed::New),
            };
            self.push(number, doubt, resumed);
        }
        let pushed = (0..)
            .zip(&self.tags)
            .filter(|(_, tag)| tag.is_some())
            .fold(0, |all, (n, _)| all | bit(n));
        self.told.leased = pushed | self.told.acked;
        self.work();
    }

    /// The end of every batch was told.
    pub(super) fn is_over(&self) -> bool {
        self.told.acked == self.all()
    }

    fn push(&mut self, number: Number, doubt: Doubt, resumed: Resumed) {
        self.sending.push(SlotParts {
            body: Arc::new(body(number)),
            origin: Origin::Foreign(Ticket(u64::from(number))),
            first_record: 0,
            held_bytes: 0,
            lease: Some((LeaseNo(u64::from(number)), true)),
            doubt,
            resumed,
        });
    }

    /// Does everything that the producer can do by itself.
    pub(super) fn work(&mut self) {
        for _ in 0..200 {
            self.lease_rest();
            self.sending.stamp_next(self.now);
            if let Some(operation) = self.sending.poll_operation() {
                let LeaseOperation::Stamp { lease, tag } = operation else {
                    panic!("{operation:?}");
                };
                self.tags[usize::try_from(lease.0).unwrap()] = Some(tag);
                self.sending.stamped(lease);
                continue;
            }
            let mut ends = Ends::new();
            let has_work = self.told.acked != self.all();
            let action = self.sending.poll_action(self.now, has_work, &mut ends);
            match action {
                Some(Action::Connect { refresh_metadata }) => {
                    self.cluster.connecting = Some(refresh_metadata)
                }
                Some(Action::Request(ClusterRequest::Identity(request))) => {
                    let (id, epoch) = request.next_epoch().unwrap_or_else(|| {
                        self.next_id += 1;
                        (ProducerId(self.next_id), ProducerEpoch(0))
                    });
                    self.sending.identity_granted(id, epoch, self.now);
                }
                Some(Action::Send(transmit)) => {
                    let wire = transmit.body.calls().next().unwrap();
                    let number = wire[0].value.as_ref().unwrap()[0];
                    self.cluster.requests.push_back(Request {
                        batch: transmit.batch,
                        number,
                        stamp: transmit.stamp.unwrap(),
                        waits_for: None,
                    });
                }
                Some(Action::Disconnect) => {
                    self.cluster.connected = None;
                    self.cluster.lose_requests();
                    self.event(|sending, now, ends| sending.disconnected(now, ends));
                }
                None => match self.sending.retry_at(self.now) {
                    Some(at)
                        if self.cluster.requests.is_empty()
                            && self.cluster.connecting.is_none() =>
                    {
                        self.now = at
                    }
                    _ => return,
                },
            }
        }
        panic!("the producer comes to no rest");
    }

    /// The batch that was not stamped is leased when there is room, behind the others.
    fn lease_rest(&mut self) {
        let rest = self.bounds.stamped + 1;
        let is_next = self.bounds.has_rest && self.told.leased & bit(rest) == 0;
        if is_next && self.sending.could_lease(self.now) {
            self.told.leased |= bit(rest);
            self.push(rest, Doubt::None, Resumed::New);
        }
    }

    /// Something happens to the producer, and it does what it can.
    pub(super) fn event(&mut self, event: impl FnOnce(&mut Sending<()>, Instant, &mut Ends<()>)) {
        let mut ends = Ends::new();
        event(&mut self.sending, self.now, &mut ends);
        while let Some(ended) = ends.poll() {
            let completion = ended.completion.unwrap();
            let Origin::Foreign(Ticket(number)) = completion.origin else {
                panic!("{completion:?}");
            };
            let number = Number::try_from(number).unwrap();
            let Outcome::Acked {
                possibly_duplicated,
                ..
            } = completion.outcome
            else {
                panic!("{completion:?}");
            };
            assert_eq!(self.told.acked & bit(number), 0, "one end");
            self.told.acked |= bit(number);
            self.told.counted |= if possibly_duplicated { bit(number) } else { 0 };
            self.tags[usize::from(number)] = None;
        }
    }

    pub(super) fn answer(&mut self, code: ErrorCode, base_offset: Option<Offset>) {
        let request = self.cluster.requests.pop_front().unwrap();
        let answer = Answer {
            code,
            base_offset,
            ..Answer::default()
        };
        self.event(|sending, now, ends| sending.answered(request.batch, answer, now, ends));
        self.work();
    }
}

fn bit(number: Number) -> u16 {
    1 << number
}

fn tag(stamp: Stamp, acked_through: i32) -> Bytes {
    LeaseTag {
        topic_id: [0; 16],
        cluster: 0,
        floor: -1,
        max_timestamp_ms: 0,
        stamped_at_ms: 0,
        generation: 1,
        done_records: 0,
        rest_was_sent: false,
        batches: vec![StampedBatch {
            stamp,
            first_record: 0,
            record_count: 1,
            compression: 0,
            acked_through,
            was_sent_before: false,
        }],
    }
    .encode()
}
