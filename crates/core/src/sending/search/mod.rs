//! Every interleaving of a resume with what a cluster of two replicas can do, within small bounds.
//!
//! The code under test is [`Sending`](super::Sending) as it is shipped, the cluster is the test
//! broker's model. A broker that was deposed and does not know it yet answers from its own view,
//! which is kept beside the model.

mod world;

mod bounds;

use std::collections::{BTreeSet, HashMap, VecDeque};

use wolff_testbroker::partition::UnknownProducers;

use self::bounds::{Bounds, Events, QUIET};
use self::world::World;

/// Looks at all worlds within the bounds. Returns how many there are.
///
/// # Panics
/// When a promise is broken, or the end cannot be reached from everywhere.
fn search(bounds: Bounds) -> usize {
    let mut seen: HashMap<u128, usize> = HashMap::new();
    // How each was reached, and from where it can be reached.
    let mut paths: Vec<(Option<usize>, String)> = Vec::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut open: VecDeque<(usize, World)> = VecDeque::new();
    let mut ends: Vec<usize> = Vec::new();
    let trace = |paths: &[(Option<usize>, String)], mut at: usize| {
        let mut steps = Vec::new();
        while let (Some(from), name) = &paths[at] {
            steps.push(name.clone());
            at = *from;
        }
        steps.push(paths[at].1.clone());
        steps.reverse();
        steps.join("\n  ")
    };
    let mut found = World::starts(bounds)
        .into_iter()
        .map(|world| (None, world.name(), world))
        .collect::<Vec<_>>();
    loop {
        for (from, name, world) in found.drain(..) {
            let key = world.key();
            let number = paths.len();
            if let Some(known) = seen.get(&key) {
                if let Some(from) = from {
                    before[*known].push(from);
                }
                continue;
            }
            seen.insert(key, number);
            paths.push((from, name));
            before.push(from.into_iter().collect());
            if let Some(broken) = world.broken() {
                panic!("{broken}\n  {}", trace(&paths, number));
            }
            if world.is_over() {
                ends.push(number);
            }
            open.push_back((number, world));
        }
        let Some((number, world)) = open.pop_front() else {
            break;
        };
        found.extend(
            world
                .next()
                .into_iter()
                .map(|(name, next)| (Some(number), name, next)),
        );
    }
    let mut finishing: BTreeSet<usize> = ends.iter().copied().collect();
    let mut todo = ends;
    while let Some(at) = todo.pop() {
        for from in &before[at] {
            if finishing.insert(*from) {
                todo.push(*from);
            }
        }
    }
    if let Some(stuck) = (0..paths.len()).find(|number| !finishing.contains(number)) {
        panic!(
            "it cannot finish from here:\n  {}\n{}",
            trace(&paths, stuck),
            World::replay(bounds, &trace(&paths, stuck))
        );
    }
    paths.len()
}

const THREE: Bounds = Bounds {
    stamped: 3,
    sent: 3,
    has_rest: false,
    has_acked: true,
    unknown: UnknownProducers::Accept,
    is_stale: false,
    hole: None,
    events: QUIET,
};

#[test]
fn elections_and_restarts_lose_and_repeat_nothing() {
    let states = search(Bounds {
        events: Events {
            elections: 2,
            reloads: 1,
            ..QUIET
        },
        ..THREE
    });
    println!("{states} states");
    assert!(states > 1_000);
}

#[test]
fn a_second_kill_and_a_refusal_lose_and_repeat_nothing() {
    for events in [
        Events {
            elections: 1,
            kills: 1,
            refusals: 1,
            ..QUIET
        },
        Events {
            reloads: 1,
            kills: 1,
            disconnects: 1,
            ..QUIET
        },
    ] {
        let states = search(Bounds {
            stamped: 2,
            sent: 2,
            events,
            ..THREE
        });
        println!("{states} states");
        assert!(states > 500);
    }
}

#[test]
fn what_follows_under_a_fresh_identity_comes_behind_it() {
    let states = search(Bounds {
        stamped: 2,
        sent: 2,
        has_rest: true,
        events: Events {
            elections: 1,
            reloads: 1,
            ..QUIET
        },
        ..THREE
    });
    println!("{states} states");
    assert!(states > 1_000);
}

#[test]
fn an_identity_that_nothing_was_acked_of_is_resumed_as_well() {
    let states = search(Bounds {
        stamped: 2,
        sent: 1,
        has_acked: false,
        events: Events {
            elections: 2,
            disconnects: 1,
            ..QUIET
        },
        ..THREE
    });
    println!("{states} states");
    assert!(states > 500);
}

#[test]
fn brokers_that_have_forgotten_an_old_producer_lose_nothing_and_what_is_repeated_is_counted() {
    for unknown in [UnknownProducers::Accept, UnknownProducers::Never] {
        let states = search(Bounds {
            stamped: 2,
            sent: 2,
            is_stale: true,
            unknown,
            events: Events {
                elections: 1,
                expiries: 2,
                ..QUIET
            },
            ..THREE
        });
        println!("{states} states");
        assert!(states > 500);
    }
}

#[test]
fn behind_an_item_that_the_queue_has_lost_nothing_else_is_lost() {
    // With four of them two are in flight behind the hole at the same time.
    for (stamped, hole, sent) in [(2, 1, 2), (3, 2, 3), (4, 2, 1)] {
        for events in [
            Events {
                elections: 1,
                reloads: 1,
                ..QUIET
            },
            Events {
                kills: 1,
                disconnects: 1,
                ..QUIET
            },
            Events {
                disconnects: 1,
                expiries: 1,
                ..QUIET
            },
        ] {
            let states = search(Bounds {
                stamped,
                sent,
                hole: Some(hole),
                events,
                ..THREE
            });
            println!("hole {hole} of {stamped}: {states} states");
            assert!(states > 500);
        }
    }
}

#[test]
fn brokers_that_forget_a_producer_before_its_time_lose_nothing() {
    for unknown in [UnknownProducers::Accept, UnknownProducers::Never] {
        let states = search(Bounds {
            stamped: 2,
            sent: 2,
            unknown,
            events: Events {
                expiries: 2,
                disconnects: 1,
                ..QUIET
            },
            ..THREE
        });
        println!("{states} states");
        assert!(states > 500);
    }
}
