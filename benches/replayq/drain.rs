//! Pop and ack: P5, first half.

use std::time::Duration;

use crate::payloads::Payloads;
use crate::race::{Runner, print, print_ratio, race};
use crate::{Settings, erlang, ours, peers};

const ITEM_BYTES: usize = 116;
const GROUP: usize = 100;
/// The goal, in items a second.
const GOAL: f64 = 6e6;

pub(crate) fn run(settings: &Settings) {
    let rounds = if settings.is_quick { 3 } else { 9 };
    let groups = if settings.is_quick { 1000 } else { 5000 };
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let payloads = Payloads::new(ITEM_BYTES, GROUP);
    let (disk, memory) = (
        ours::open(&room.path().join("ours"), 10),
        replayq::Queue::open(replayq::Config::memory())
            .expect("a queue")
            .0,
    );
    let mut yaque = peers::Yaque::open(&room.path().join("yaque"));
    let mut queue_file = peers::QueueFile::open(&room.path().join("queue-file"));
    let mut erlang = erlang::Erlang::start(&room.path().join("erlang"), ITEM_BYTES, GROUP);
    let items = groups * GROUP;
    let drain = |queue: &replayq::Queue, lease| {
        let _untimed = ours::append(queue, &payloads, groups);
        let (drained, time) = ours::drain(queue, lease);
        assert_eq!(drained, items, "all that was appended comes back");
        time
    };
    let mut runners: Vec<Runner<'_>> = vec![
        (
            "replayq, from disk, 1000 a lease",
            Box::new(|| drain(&disk, 1000)),
        ),
        (
            "replayq, from disk, 100 a lease",
            Box::new(|| drain(&disk, 100)),
        ),
        (
            "replayq, memory, 1000 a lease",
            Box::new(|| drain(&memory, 1000)),
        ),
        (
            "yaque 0.6, 1000 a batch",
            Box::new(|| {
                let _untimed = yaque.append(&payloads, groups);
                yaque.drain()
            }),
        ),
        (
            "queue-file 2.0, 1000 a batch",
            Box::new(|| {
                let _untimed = queue_file.append(&payloads, groups);
                queue_file.drain()
            }),
        ),
    ];
    if let Some(erlang) = erlang.as_mut() {
        runners.push((
            "Erlang replayq, 1000 a batch",
            Box::new(|| {
                let _untimed = erlang.append(groups);
                let (time, drained) = erlang.drain();
                assert_eq!(drained, items);
                time.into()
            }),
        ));
    }
    let outcomes = race(runners, rounds);
    print(
        &format!("pop + ack, items of {ITEM_BYTES} bytes"),
        items,
        items * ITEM_BYTES,
        &outcomes,
    );
    let rate = |time: Duration| {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let items = items as f64;
        items / time.as_secs_f64()
    };
    println!(
        "  {:.1} M items/s from disk",
        rate(outcomes[0].wall.median) / 1e6
    );
    // Above 1 the goal is met: on the wall, and as if the machine had nothing else to do.
    let name = "replayq_pop_ack_vs_6m_items_per_second";
    wolff_benches::print_ratio(name, rate(outcomes[0].wall.median) / GOAL);
    if let Some(cpu) = &outcomes[0].cpu {
        wolff_benches::print_ratio(&format!("{name}_cpu"), rate(cpu.median) / GOAL);
    }
    print_ratio("replayq_pop_ack_vs_yaque", &outcomes[0], &outcomes[3]);
    print_ratio("replayq_pop_ack_vs_queue_file", &outcomes[0], &outcomes[4]);
    match outcomes.get(5) {
        Some(erlang) => print_ratio("replayq_pop_ack_vs_erlang", &outcomes[0], erlang),
        None => println!("  {}", erlang::ABSENT),
    }
}
