//! The queue in all orders in which its threads may go on: exhaustively with few preemptions, and
//! by chance.
//!
//! `REPLAYQ_SCHEDULES` is how many schedules by chance each scenario gets in each mode, and
//! `REPLAYQ_PREEMPTIONS` how often a thread may be put off in the exhaustive search, of which
//! `REPLAYQ_EXHAUSTIVE` schedules are tried at most.
//!
//! Faults that these scenarios must find are put back by `cargo xtask soak mutations`, with the
//! numbers that run by default: the patches in `tests/mutations` whose names begin with `queue_`.
//! - items in transit that are read again: an item is in two leases
//!   (`three_threads_pop_release_and_ack`);
//! - a tag that is written before its lease has it: an answered tag is gone
//!   (`an_answered_tag_is_there_after_a_kill_whatever_rolls_meanwhile`);
//! - pins of leases that are of no account: the same;
//! - a record of a lease that leaves its last item out: the item waits, beside the lease
//!   (`a_tagged_lease_comes_back_whole`);
//! - a failed sync that is tried again: a group's answered items are gone after a power loss
//!   (`a_group_whose_sync_fails_is_answered_when_it_is_in_another_file`).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

mod script;

mod oracle;

mod points;
mod schedules;

use schedules::{Figures, Search};
use script::Step::{
    Ack, AckOne, Append, AppendLeased, Close, FailSync, FlushDisk, FlushOs, Kill, Pop, PopReady,
    PopWait, PowerLoss, Release, Tag,
};
use script::{MODES, Mode, Script};

const SEED: usize = 0x5eed;

fn number(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

/// Tries a script in the modes.
fn explore(modes: &[Mode], script: Script) {
    explore_with((1, 4000), modes, script);
}

/// Tries a script in the modes, with so many preemptions and so many schedules at most unless
/// others are asked for.
fn explore_with((preemptions, most): (usize, usize), modes: &[Mode], script: Script) {
    let preemptions = number("REPLAYQ_PREEMPTIONS", preemptions);
    let most = number("REPLAYQ_EXHAUSTIVE", most) as u64;
    let schedules = number("REPLAYQ_SCHEDULES", 100);
    for mode in modes.iter().copied() {
        let scenario = move || script::run(&script, mode);
        let Figures {
            schedules: tried,
            steps,
            is_exhausted,
        } = Search::Exhaustive { preemptions, most }.run(scenario);
        let by_chance = Search::Random {
            seed: number("REPLAYQ_SEED", SEED) as u64,
            schedules,
        }
        .run(scenario);
        println!(
            "{mode:?}: {tried} schedules with up to {preemptions} preemptions, {steps} steps{}; {} by chance, {} steps",
            if is_exhausted { ", exhausted" } else { "" },
            by_chance.schedules,
            by_chance.steps
        );
        println!("figure schedules by chance {}", by_chance.schedules);
        println!("figure steps by chance {}", by_chance.steps);
    }
}

/// Eight items of 200 bytes fill a segment; more than one is not kept in memory when it is
/// appended.
const SMALL: Script = Script {
    before: &[],
    threads: &[],
    segment_bytes: 6000,
    resident_bytes: 300,
    lease_slots: 1,
    max_total_bytes: u64::MAX,
};

#[test]
fn an_item_is_in_one_lease_only_while_pops_and_releases_meet() {
    explore(
        &MODES,
        Script {
            before: &[
                (0, Append(8, 200)),
                (0, Append(4, 200)),
                (0, Pop(1)),
                (1, Pop(1)),
            ],
            threads: &[&[Release, Pop(2), Ack], &[Pop(9), Release, Kill]],
            ..SMALL
        },
    );
}

#[test]
fn an_answered_tag_is_there_after_a_kill_whatever_rolls_meanwhile() {
    explore(
        &MODES,
        Script {
            before: &[
                (0, Append(4, 200)),
                (1, Pop(1)),
                (1, Tag),
                (0, Pop(1)),
                (0, Pop(1)),
            ],
            threads: &[
                &[Tag, Kill, Tag, Kill],
                &[Append(2, 200), Append(4, 200), Ack],
            ],
            ..SMALL
        },
    );
}

/// Leases of several items come back with all of them.
#[test]
fn a_tagged_lease_comes_back_whole() {
    explore(
        &MODES,
        Script {
            before: &[(0, Append(7, 200)), (0, Pop(3)), (1, Pop(2)), (0, Pop(2))],
            threads: &[
                &[Tag, Kill, AckOne, Kill, Release, Tag, Kill],
                &[Tag, Append(2, 200), Kill, AckOne, Tag, PowerLoss(2)],
            ],
            ..SMALL
        },
    );
}

#[test]
fn leases_made_with_an_append_meet_pops_and_releases() {
    explore(
        &MODES,
        Script {
            before: &[
                (0, Append(4, 200)),
                (0, Pop(1)),
                (1, Pop(9)),
                (1, Release),
                (1, Pop(1)),
            ],
            threads: &[
                &[AppendLeased(200), Release, Pop(3)],
                &[Release, AppendLeased(100), Kill, Ack],
                &[Pop(9)],
            ],
            ..SMALL
        },
    );
}

/// Small enough for two preemptions.
#[test]
fn items_that_an_append_takes_into_its_lease_are_in_no_other() {
    explore_with(
        (2, 20_000),
        &[Mode::Os],
        Script {
            before: &[(0, Append(4, 200)), (0, Pop(1)), (1, Pop(9)), (1, Release)],
            threads: &[&[Release], &[AppendLeased(200)], &[Pop(9)]],
            ..SMALL
        },
    );
}

#[test]
fn acks_of_parts_meet_flushes_and_rolls() {
    explore(
        &MODES,
        Script {
            before: &[(0, Append(6, 200)), (0, Pop(3)), (1, Pop(2))],
            threads: &[
                &[AckOne, Tag, AckOne, Kill],
                &[FlushDisk, Append(4, 200), Release, FlushOs],
            ],
            ..SMALL
        },
    );
}

#[test]
fn a_close_meets_everything() {
    explore(
        &MODES,
        Script {
            before: &[(0, Append(9, 200)), (0, Pop(2)), (1, Pop(1)), (0, Pop(1))],
            threads: &[
                &[Tag, Release, Append(2, 300), Pop(2), Ack],
                &[Append(1, 200), Close],
            ],
            ..SMALL
        },
    );
}

/// A call that is never woken would be a deadlock.
#[test]
fn whoever_waits_for_items_is_woken_by_an_append_or_a_release() {
    explore(
        &MODES,
        Script {
            before: &[(0, Append(1, 200)), (0, Pop(1))],
            threads: &[
                &[Release, PopWait(1), Ack],
                &[PopReady(1), Ack],
                &[Append(1, 200), PopWait(1), Release],
                &[Append(1, 200)],
            ],
            ..SMALL
        },
    );
}

#[test]
fn whoever_waits_is_woken_by_a_close() {
    explore(
        &MODES,
        Script {
            threads: &[&[PopWait(1)], &[PopReady(1)], &[Close]],
            ..SMALL
        },
    );
}

#[test]
fn an_append_that_waits_for_room_is_woken_by_an_ack_or_a_close() {
    explore(
        &MODES,
        Script {
            threads: &[
                &[Append(1, 200), Append(1, 200), Append(1, 200)],
                &[Append(1, 300), PopWait(1), Ack],
                &[PopWait(1), AckOne, PopWait(1), Ack],
            ],
            max_total_bytes: 500,
            ..SMALL
        },
    );
    explore(
        &MODES,
        Script {
            threads: &[
                &[Append(1, 200), Append(1, 400)],
                &[Append(1, 300)],
                &[Close],
            ],
            max_total_bytes: 500,
            ..SMALL
        },
    );
}

/// `REPLAYQ_SCHEDULES` times 20 disks in each mode.
#[test]
fn power_losses_in_the_middle_of_threads_and_once_more_keep_what_was_durable() {
    explore_with(
        (0, 100),
        &[Mode::Os, Mode::Fsync, Mode::Offload],
        Script {
            before: &[(0, Append(6, 200)), (0, Pop(1)), (1, Pop(2)), (0, Pop(1))],
            threads: &[
                &[Tag, PowerLoss(5), Ack, Append(3, 300), PowerLoss(5), Tag],
                &[
                    AckOne,
                    FlushDisk,
                    PowerLoss(5),
                    Append(2, 400),
                    Release,
                    Pop(2),
                    Ack,
                ],
                &[Append(1, 2000), FlushDisk, Pop(1), Tag, PowerLoss(5)],
            ],
            ..SMALL
        },
    );
}

/// Modes in which syncs promise something.
const SYNCING: [Mode; 3] = [Mode::Os, Mode::Fsync, Mode::Offload];

#[test]
fn a_group_whose_sync_fails_is_answered_when_it_is_in_another_file() {
    explore(
        &SYNCING,
        Script {
            before: &[(0, Append(2, 200))],
            threads: &[
                &[FailSync, Append(1, 200), PowerLoss(2), FlushDisk],
                &[Append(2, 300), PowerLoss(2), Append(1, 200)],
            ],
            ..SMALL
        },
    );
}

#[test]
fn an_answered_tag_stays_although_a_sync_fails() {
    explore(
        &SYNCING,
        Script {
            before: &[
                (0, Append(6, 200)),
                (0, Pop(1)),
                (1, Pop(1)),
                (0, Pop(1)),
                (1, Tag),
            ],
            threads: &[
                &[Tag, FailSync, Tag, PowerLoss(2), Ack, Tag],
                &[Tag, Append(2, 200), PowerLoss(2), Ack, Kill],
            ],
            ..SMALL
        },
    );
}

#[test]
fn a_flush_whose_sync_fails_is_made_good_by_the_next() {
    explore(
        &SYNCING,
        Script {
            before: &[(0, Append(6, 200)), (0, Pop(2)), (1, Pop(1))],
            threads: &[
                &[FailSync, FlushDisk, FlushDisk, PowerLoss(2), Ack],
                &[Append(3, 200), Ack, FlushDisk, PowerLoss(2)],
            ],
            ..SMALL
        },
    );
}

#[test]
fn a_close_whose_sync_fails_can_be_tried_again() {
    explore(
        &SYNCING,
        Script {
            before: &[(0, Append(5, 200)), (0, Pop(1)), (1, Pop(1))],
            threads: &[
                &[Tag, FailSync, Close],
                &[Append(2, 200), Tag, Ack, Append(1, 300)],
            ],
            ..SMALL
        },
    );
}

#[test]
fn three_threads_pop_release_and_ack() {
    explore(
        &MODES,
        Script {
            before: &[
                (0, Append(8, 200)),
                (0, Append(5, 200)),
                (0, Pop(1)),
                (1, Pop(1)),
                (2, Pop(1)),
            ],
            threads: &[
                &[Release, Pop(2)],
                &[Pop(9), Ack],
                &[Release, Append(1, 200), Kill],
            ],
            ..SMALL
        },
    );
}

#[test]
fn three_threads_tag_append_and_flush() {
    explore(
        &MODES,
        Script {
            before: &[(0, Append(6, 200)), (0, Pop(1)), (1, Pop(1)), (0, Pop(1))],
            threads: &[
                &[Tag, Release, Tag],
                &[Tag, Append(3, 200), Ack, Kill],
                &[FlushDisk, Append(3, 200)],
            ],
            ..SMALL
        },
    );
}
