//! Promises that must hold in a world, and the key by which worlds are told apart.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::{World, bit};
use crate::sending::search::bounds::{Bounds, Number};

impl World {
    /// The world at the end of a trace, for whoever reads why it is stuck.
    pub(in crate::sending::search) fn replay(bounds: Bounds, trace: &str) -> String {
        let mut names = trace.split("\n  ");
        let first = names.next().unwrap_or_default();
        let starts = Self::starts(bounds);
        let mut world = starts
            .into_iter()
            .find(|world| world.name() == first)
            .unwrap();
        for name in names {
            let next = world.next().into_iter().find(|(step, _)| step == name);
            world = next.unwrap().1;
        }
        let mut further = Vec::new();
        for _ in 0..20 {
            let helps = |name: &str| {
                name.starts_with("connected to L")
                    || name.starts_with("the oldest request is served")
                    || name.starts_with("the oldest request is answered")
                    || name.starts_with("the follower")
            };
            let Some((name, next)) = world.next().into_iter().find(|(name, _)| helps(name)) else {
                break;
            };
            further.push(name);
            world = next;
        }
        format!(
            "then {further:?}\n{:?}\n{:?}",
            world.sending, world.cluster.model
        )
    }

    pub(in crate::sending::search) fn name(&self) -> String {
        let log: Vec<&Number> = self.cluster.model.log().payloads().collect();
        format!(
            "log {log:?}, {:?}, {:?}",
            self.cluster.model.high_watermark(),
            self.cluster.ghosts
        )
    }

    /// The promise that is broken, if one is.
    pub(in crate::sending::search) fn broken(&self) -> Option<String> {
        let committed: Vec<Number> = self
            .cluster
            .model
            .log()
            .batches()
            .take_while(|batch| batch.next_offset() <= self.cluster.model.high_watermark())
            .map(|batch| *batch.payload())
            .collect();
        for number in (1..16).filter(|number| self.told.acked & bit(*number) != 0) {
            let times = committed.iter().filter(|there| **there == number).count();
            if times == 0 {
                return Some(format!("{number} is acked and lost: {committed:?}"));
            }
            if times > 1 && self.told.counted & bit(number) == 0 && !self.is_amnesia() {
                return Some(format!(
                    "{number} is there {times} times and not counted: {committed:?}"
                ));
            }
        }
        let mut firsts: Vec<Number> = Vec::new();
        for number in committed {
            let is_hole = self.bounds.hole == Some(number);
            if !firsts.contains(&number) && !is_hole {
                firsts.push(number);
            }
        }
        if !firsts.is_sorted() {
            return Some(format!("out of order: {firsts:?}"));
        }
        let has_reason = self.bounds.is_stale || self.bounds.hole.is_some() || self.is_amnesia();
        if self.told.counted != 0 && !has_reason {
            return Some(format!("counted without reason: {:b}", self.told.counted));
        }
        None
    }

    /// Brokers may forget a producer before its time. What is in doubt then is taken for new, and
    /// nobody can know; nothing may be lost for all that.
    fn is_amnesia(&self) -> bool {
        self.bounds.events.expiries > 0 && !self.bounds.is_stale
    }

    /// All that decides what comes next.
    pub(in crate::sending::search) fn key(&self) -> u128 {
        let slots: Vec<String> = (self.sending.window.iter())
            .map(|slot| {
                format!(
                    "{:?} {:?} {} {} {}",
                    slot.state(),
                    slot.stamp(),
                    slot.is_in_doubt(),
                    slot.was_perhaps_appended(),
                    slot.was_sent_behind_proof()
                )
            })
            .collect();
        let text = format!(
            "{slots:?} {:?} {:?} {:?} {:?} | {:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {} {} {:?}",
            self.sending.link,
            self.sending.identity,
            self.sending.scan,
            self.sending.resuming,
            self.cluster.model,
            self.cluster.deposed,
            self.cluster.connected,
            self.cluster.connecting,
            self.cluster.requests,
            self.cluster.ghosts,
            self.tags,
            self.told.leased,
            self.told.acked,
            self.told.counted,
            self.left,
        );
        // Moments are of no account: time passes as it must.
        let parts: Vec<&str> = text
            .split("Instant {")
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest))
            .collect();
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            parts.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }
}
