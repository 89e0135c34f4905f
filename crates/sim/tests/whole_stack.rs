//! Histories of the whole producer, each run twice.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;

use wolff_sim::{Rare, run};

/// Seeds of a plain run of the tests.
const SEEDS: u64 = 50;

/// One seed from the environment, or so many from 0 on.
fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    match number("WOLFF_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("WOLFF_SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs each seed twice. Returns how often rare states were reached, and the traces.
fn run_twice(seeds: &[u64]) -> (Rare, BTreeSet<Vec<String>>) {
    let mut rare = Rare::default();
    let mut traces = BTreeSet::new();
    for seed in seeds {
        let once = |attempt: &str| {
            run(*seed).unwrap_or_else(|(violation, trace)| {
                panic!(
                    "seed {seed}, {attempt} run: {violation}\n{}",
                    trace.join("\n")
                )
            })
        };
        let (first, second) = (once("first"), once("second"));
        let (first_lines, second_lines) = (first.trace.lines(), second.trace.lines());
        for (number, (one, other)) in first_lines.iter().zip(&second_lines).enumerate() {
            assert_eq!(
                one, other,
                "seed {seed} differs at line {number} of its trace"
            );
        }
        assert_eq!(first_lines.len(), second_lines.len(), "seed {seed}");
        rare += first.rare;
        traces.insert(first_lines);
    }
    (rare, traces)
}

#[test]
fn every_promise_is_kept_and_a_seed_gives_the_same_trace_again() {
    let seeds = seeds();
    let mut rare = Rare::default();
    let mut traces = BTreeSet::new();
    // Histories know nothing of each other, so two threads share them.
    std::thread::scope(|scope| {
        let halves = seeds.chunks(seeds.len().div_ceil(2));
        let halves: Vec<_> = halves
            .map(|half| scope.spawn(move || run_twice(half)))
            .collect();
        for half in halves {
            let (reached, seen) = half.join().expect("its message is above");
            rare += reached;
            traces.extend(seen);
        }
    });
    println!("{rare:#?}");
    if let [_] = seeds[..] {
        traces.iter().flatten().for_each(|line| println!("{line}"));
        return;
    }
    assert_eq!(
        traces.len(),
        seeds.len(),
        "every seed has a history of its own"
    );
    for (state, count) in rare.counts() {
        assert!(count > 0, "{state} was never reached");
    }
}
