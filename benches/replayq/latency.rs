//! Latency of one append of one item, and of one ack.

use std::time::{Duration, Instant};

use replayq::{Config, Durability, PopLimits, Queue};

use crate::Settings;
use crate::payloads::Payloads;
use crate::raw::RawSegments;

pub(crate) fn run(settings: &Settings) {
    let payloads = Payloads::new(116, 1);
    println!("one item of 116 bytes a call: p50, p99, longest");
    let rounds = if settings.is_quick { 20_000 } else { 200_000 };
    let raw = {
        let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
        let files = RawSegments::recycled(room.path(), 116);
        let mut times: Vec<Duration> = (0..rounds)
            .map(|_| files.write(&payloads, 1).wall())
            .collect();
        print("raw pwrite, recycled file", &mut times)
    };
    let ours = appends(settings, &payloads, Durability::Os, rounds);
    wolff_benches::print_ratio("replayq_append_one_p50_vs_raw", raw / ours);
    let fsync = Durability::Fsync {
        max_delay: Duration::ZERO,
    };
    let _reported = appends(settings, &payloads, fsync, rounds / 100);
    acks(settings, &payloads, rounds);
}

fn appends(settings: &Settings, payloads: &Payloads, durability: Durability, count: usize) -> f64 {
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let config = Config::disk(room.path().join("queue")).durability(durability);
    let (queue, _) = Queue::open(config).expect("a new queue");
    let mut times = Vec::with_capacity(count);
    for (index, group) in payloads.groups().take(count).enumerate() {
        let start = Instant::now();
        queue.append(group).expect("an append");
        times.push(start.elapsed());
        if index % 10_000 == 9_999 {
            let _untimed = crate::ours::drain(&queue, 1000);
        }
    }
    match durability {
        Durability::Fsync { .. } => print("append at Fsync", &mut times),
        _ => print("append at Os", &mut times),
    }
}

/// Leases of one item, acked in order; and every other one first, which leaves stretches.
fn acks(settings: &Settings, payloads: &Payloads, count: usize) {
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let queue = crate::ours::open(&room.path().join("queue"), 2);
    let mut in_order = Vec::with_capacity(count);
    let mut out_of_order = Vec::with_capacity(count);
    for _ in 0..count / 100 {
        for group in payloads.groups().take(100) {
            queue.append(group).expect("an append");
        }
        let mut leases = Vec::new();
        while let Some(lease) = queue.pop(PopLimits::items(1)).expect("a pop") {
            leases.push(lease.id);
        }
        let (first, second) = leases.split_at(50);
        for lease in first {
            let start = Instant::now();
            queue.ack(*lease).expect("an ack");
            in_order.push(start.elapsed());
        }
        for lease in second
            .iter()
            .skip(1)
            .step_by(2)
            .chain(second.iter().step_by(2))
        {
            let start = Instant::now();
            queue.ack(*lease).expect("an ack");
            out_of_order.push(start.elapsed());
        }
    }
    let p50 = print("ack, in order", &mut in_order);
    let _reported = print("ack, every other one first", &mut out_of_order);
    // The goal is 2 µs: above 1 it is met.
    wolff_benches::print_ratio("replayq_ack_vs_2us", 2e-6 / p50);
}

/// Returns the median in seconds.
fn print(name: &str, times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    println!(
        "  {name:<34} {:>9.2} µs {:>9.2} µs {:>9.2} µs",
        at(50).as_secs_f64() * 1e6,
        at(99).as_secs_f64() * 1e6,
        at(100).as_secs_f64() * 1e6
    );
    at(50).as_secs_f64()
}
