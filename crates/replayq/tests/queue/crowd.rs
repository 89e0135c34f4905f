//! Many threads of a real process, killed at random: what its lines said is what the directory has.
//!
//! `REPLAYQ_KILLS` is how often, over all modes, from the seed `REPLAYQ_SEED`. The orders of a few
//! threads are tried on purpose by the package `tests/interleavings`; this is the real system, with
//! more of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use replayq::{Config, PopLimits, Queue, Storage};

use crate::steps::{each_line, steps};

const MODES: [&str; 4] = ["os", "fsync", "offload", "volatile"];

/// What the lines said, and so what the directory must hold.
#[derive(Debug, Default)]
struct Heard {
    appended: BTreeSet<String>,
    acking: BTreeSet<String>,
    acked: BTreeSet<String>,
    /// Names of leased items by lease.
    leased: BTreeMap<String, String>,
    /// Last answered tag of each open lease, with the names of its items.
    tagged: BTreeMap<String, (String, Vec<String>)>,
    /// Leases that may have got another tag since.
    retagging: BTreeSet<String>,
    /// What was appended when a flush began.
    flushing: BTreeMap<String, BTreeSet<String>>,
    /// What a flush that was answered has written down.
    flushed: BTreeSet<String>,
    is_closing: bool,
    is_closed: bool,
    lines: usize,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        self.lines += 1;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ').map(str::to_owned);
        match word {
            "appended" => self.appended.extend(words),
            "leased" => {
                let lease = words.next().unwrap();
                for name in words {
                    assert!(
                        !self.acking.contains(&name),
                        "{name} is in lease {lease} after its ack"
                    );
                    let other = self.leased.insert(name.clone(), lease.clone());
                    assert_eq!(other, None, "{name} is in lease {lease} too");
                }
            }
            "tagging" => {
                self.retagging.insert(words.next().unwrap());
            }
            "tagged" => {
                let (lease, tag) = (words.next().unwrap(), words.next().unwrap());
                self.retagging.remove(&lease);
                self.tagged.insert(lease, (tag, words.collect()));
            }
            "releasing" => {
                self.tagged.remove(&words.next().unwrap());
                for name in words {
                    self.leased.remove(&name);
                }
            }
            "acking" => {
                for name in words {
                    if let Some(lease) = self.leased.remove(&name) {
                        self.tagged.remove(&lease);
                    }
                    self.acking.insert(name);
                }
            }
            "acked" => self.acked.extend(words),
            "flushing" => {
                let appended = self.appended.clone();
                self.flushing.insert(rest.to_owned(), appended);
            }
            "flushed" => self.flushed.extend(self.flushing.remove(rest).unwrap()),
            "closing" => self.is_closing = true,
            "closed" => self.is_closed = true,
            _ => panic!("a call failed without a fault: {line}"),
        }
    }

    /// Opens the directory and compares.
    fn check(&self, directory: &Path, mode: &str) {
        let storage = match mode {
            "offload" => Storage::Offload(directory.into()),
            "volatile" => Storage::OffloadVolatile(directory.into()),
            _ => Storage::Disk(directory.into()),
        };
        let (queue, recovery) = Queue::open(Config::new(storage)).unwrap();
        assert_eq!(queue.damage(), [], "{mode}");
        let name = |payload: &[u8]| {
            let payload = String::from_utf8(payload.to_vec()).unwrap();
            let name = payload.trim().to_owned();
            let bytes = if name.ends_with('5') { 3000 } else { 700 };
            assert_eq!(payload, format!("{name:<bytes$}"));
            name
        };
        let mut found: Vec<String> = Vec::new();
        let mut tags: BTreeMap<Vec<String>, String> = BTreeMap::new();
        for lease in &recovery.leases {
            let items = queue.read_lease(lease.id).unwrap().items;
            let names: Vec<String> = items.iter().map(|item| name(&item.payload)).collect();
            found.extend(names.iter().cloned());
            tags.insert(names, String::from_utf8(lease.tag.to_vec()).unwrap());
        }
        let mut last = 0;
        while let Some(lease) = queue.pop(PopLimits::default()).unwrap() {
            for item in &lease.items {
                assert!(item.id.0 > last, "{mode}: {} is out of order", item.id);
                last = item.id.0;
                found.push(name(&item.payload));
            }
        }
        let unique: BTreeSet<&String> = found.iter().collect();
        assert_eq!(unique.len(), found.len(), "{mode}: an item is there twice");
        let is_all_kept = match mode {
            "os" | "fsync" => true,
            "offload" => self.is_closed,
            _ => {
                assert_eq!(found, Vec::<String>::new());
                return;
            }
        };
        let kept = if is_all_kept {
            &self.appended
        } else {
            &self.flushed
        };
        for name in kept {
            assert!(
                unique.contains(name) || self.acking.contains(name),
                "{mode}: {name} is lost"
            );
        }
        for name in &self.acked {
            assert!(!unique.contains(name), "{mode}: {name} came back");
        }
        if is_all_kept {
            for (lease, (tag, names)) in &self.tagged {
                let there = tags.get(names);
                assert!(
                    there == Some(tag) || there.is_some() && self.retagging.contains(lease),
                    "{mode}: the tag {tag} of {names:?} is gone"
                );
            }
        }
    }
}

fn crowd(directory: &Path, rounds: u64, mode: &str, seed: u64) -> Command {
    steps(
        directory,
        &["crowd", &rounds.to_string(), mode, &seed.to_string()],
    )
}

#[test]
fn a_crowd_of_threads_killed_at_random_finds_what_it_was_answered_in_every_mode() {
    let kills = std::env::var("REPLAYQ_KILLS").map_or(24, |kills| kills.parse::<u64>().unwrap());
    let seed = std::env::var("REPLAYQ_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut dice: u64 = seed;
    let (mut items, mut killed) = (0, 0);
    for mode in MODES {
        for _ in 0..kills / 4 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("queue");
            let mut heard = Heard::default();
            let kill_after = 1 + (dice >> 33) as usize % 1500;
            let status = each_line(&mut crowd(&path, 300, mode, dice >> 20), |line| {
                heard.hear(line);
                heard.lines == kill_after
            });
            killed += u32::from(!status.success());
            items += heard.appended.len();
            heard.check(&path, mode);
        }
    }
    println!("figure processes killed {killed}\nfigure items answered {items}");
    assert!(killed > 0);
}
