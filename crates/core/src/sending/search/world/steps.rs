//! The worlds that can be next.

use wolff_codec::{BrokerId, ErrorCode, LeaderEpoch, TopicId};
use wolff_testbroker::partition::ACKS_ALL;

use super::batches::{facts, other};
use super::{Side, World};
use crate::link::Leader;

impl World {
    /// The worlds that can be next.
    pub(in crate::sending::search) fn next(&self) -> Vec<(String, Self)> {
        let mut next: Vec<(String, Self)> = Vec::new();
        let mut step = |name: String, change: &dyn Fn(&mut Self) -> bool| {
            let mut world = self.clone();
            if change(&mut world) {
                next.push((name, world));
            }
        };
        for side in [Side::Leader, Side::Deposed] {
            step(format!("connected to {side:?}"), &|world| {
                let Some(is_fresh) = world.cluster.connecting else {
                    return false;
                };
                // Fresh metadata names the leader.
                if side == Side::Deposed && (is_fresh || world.cluster.deposed.is_none()) {
                    return false;
                }
                world.cluster.connecting = None;
                world.cluster.connected = Some(side);
                let leader = Leader {
                    broker: BrokerId(1),
                    epoch: LeaderEpoch(0),
                    topic_id: TopicId::default(),
                    cluster: 0,
                    now_ms: if world.bounds.is_stale {
                        i64::MAX / 2
                    } else {
                        0
                    },
                };
                world.sending.connected(leader, world.now);
                world.work();
                true
            });
        }
        step("the oldest request is served".into(), &Self::serve);
        step("the oldest request is answered".into(), &|world| {
            let Some((required, offset)) = world
                .cluster
                .requests
                .front()
                .and_then(|request| request.waits_for)
            else {
                return false;
            };
            let side = world.cluster.connected.unwrap();
            let is_committed = world
                .cluster
                .at(side)
                .is_some_and(|model| model.high_watermark() >= required);
            if is_committed {
                world.answer(ErrorCode::NONE, Some(offset));
            }
            is_committed
        });
        step("the follower catches up".into(), &|world| {
            let before = world.cluster.model.high_watermark();
            world
                .cluster
                .model
                .replicate(other(world.cluster.model.leader()));
            world.cluster.model.high_watermark() > before
        });
        step("another leader".into(), &|world| {
            if world.left.elections == 0 || world.cluster.deposed.is_some() {
                return false;
            }
            world.left.elections -= 1;
            world.cluster.deposed = Some(world.cluster.model.clone());
            world
                .cluster
                .model
                .elect(other(world.cluster.model.leader()), 0);
            if world.cluster.connected == Some(Side::Leader) {
                world.cluster.connected = Some(Side::Deposed);
            }
            for (side, ..) in &mut world.cluster.ghosts {
                *side = Side::Deposed;
            }
            true
        });
        step("the deposed one learns of it".into(), &|world| {
            if world.cluster.deposed.take().is_none() {
                return false;
            }
            world
                .cluster
                .ghosts
                .retain(|(side, ..)| *side == Side::Leader);
            if world.cluster.connected == Some(Side::Deposed) {
                if world.cluster.requests.is_empty() {
                    world.cluster.connected = None;
                    world.event(|sending, now, ends| sending.disconnected(now, ends));
                    world.work();
                }
                while !world.cluster.requests.is_empty()
                    && world.cluster.connected == Some(Side::Deposed)
                {
                    world.answer(ErrorCode::NOT_LEADER_OR_FOLLOWER, None);
                }
            }
            true
        });
        step("a request of before is executed".into(), &|world| {
            let Some((side, number, stamp)) = world.cluster.ghosts.pop_front() else {
                return false;
            };
            if let Some(model) = world.cluster.at(side) {
                let _ = model.produce(&facts(stamp), ACKS_ALL, 0, number);
            }
            true
        });
        for broker in [BrokerId(1), BrokerId(2)] {
            step(format!("broker {broker} is restarted"), &|world| {
                let used = world.left.reloads > 0;
                world.left.reloads = world.left.reloads.saturating_sub(1);
                world.cluster.model.restart(broker, 0);
                used
            });
            step(format!("broker {broker} forgets the producer"), &|world| {
                // A broker that forgets what is fresh in the middle of a walk, or takes one of
                // before for new, cannot be told from one that has it all: no promise holds there.
                let is_asked =
                    world.cluster.connected.is_some() || !world.cluster.ghosts.is_empty();
                let is_walking = world.bounds.hole.is_some() && is_asked;
                let used = world.left.expiries > 0 && !is_walking;
                world.left.expiries = world.left.expiries.saturating_sub(1);
                world.cluster.model.expire_producers(broker, i64::MAX);
                used
            });
        }
        step("the connection is lost".into(), &|world| {
            if world.left.disconnects == 0 || world.cluster.connected.is_none() {
                return false;
            }
            world.left.disconnects -= 1;
            world.cluster.lose_requests();
            world.cluster.connected = None;
            world.event(|sending, now, ends| sending.disconnected(now, ends));
            world.work();
            true
        });
        for code in [ErrorCode::REQUEST_TIMED_OUT, ErrorCode::NOT_ENOUGH_REPLICAS] {
            step(format!("the oldest request is refused: {code}"), &|world| {
                let was_taken = world
                    .cluster
                    .requests
                    .front()
                    .is_some_and(|front| front.waits_for.is_some());
                // One code follows an append, the other comes before it.
                let fits = was_taken == (code == ErrorCode::REQUEST_TIMED_OUT);
                if world.left.refusals == 0 || world.cluster.requests.is_empty() || !fits {
                    return false;
                }
                world.left.refusals -= 1;
                world.answer(code, None);
                true
            });
        }
        step("the producer is killed".into(), &|world| {
            if world.left.kills == 0 {
                return false;
            }
            world.left.kills -= 1;
            world.cluster.lose_requests();
            world.cluster.connected = None;
            world.cluster.connecting = None;
            world.open();
            true
        });
        next
    }

    fn serve(&mut self) -> bool {
        let (Some(side), Some(front)) = (self.cluster.connected, self.cluster.requests.front())
        else {
            return false;
        };
        if front.waits_for.is_some() {
            return false;
        }
        let (number, stamp) = (front.number, front.stamp);
        let served = match self.cluster.at(side) {
            Some(model) => model.produce(&facts(stamp), ACKS_ALL, 0, number),
            None => return false,
        };
        match served {
            Ok(appended) => {
                let waits_for = (appended.required_high_watermark, appended.base_offset);
                self.cluster.requests.front_mut().unwrap().waits_for = Some(waits_for);
            }
            Err(refusal) => self.answer(refusal.code, None),
        }
        true
    }
}
