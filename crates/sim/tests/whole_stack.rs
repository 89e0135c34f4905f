//! Histories of the whole producer, each run twice.
//!
//! `WOLFF_SIM_SEEDS` histories are run, from `WOLFF_SIM_SEED` times that number on. With
//! `WOLFF_SIM_TRACE` only the history of that seed is, and its trace is printed.
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use wolff_sim::{Rare, run};

/// Histories of a plain run of the tests.
const SEEDS: u64 = 200;

/// Most broken histories that are looked for.
const MOST_FINDINGS: usize = 20;

/// Results of a number of histories.
#[derive(Default)]
struct Outcome {
    rare: Rare,
    /// The traces, which should all differ.
    traces: BTreeSet<Vec<String>>,
    /// Seeds whose history broke a promise, and how.
    findings: Vec<(u64, String)>,
    /// Trace of the first of them.
    first: Vec<String>,
}

impl Outcome {
    fn find(&mut self, seed: u64, what: String, trace: Vec<String>) {
        println!("seed {seed}: {what}");
        if self.findings.is_empty() {
            self.first = trace;
        }
        self.findings.push((seed, what));
    }

    /// Runs the history of a seed twice.
    fn run_twice(&mut self, seed: u64) {
        let mut lines = Vec::new();
        for _ in 0..2 {
            match run(seed) {
                Ok(report) => lines.push((report.trace.lines(), report.rare)),
                Err((violation, trace)) => return self.find(seed, violation.to_string(), trace),
            }
        }
        let (second, _) = lines.pop().expect("run twice");
        let (first, rare) = lines.pop().expect("run twice");
        let differing = first
            .iter()
            .zip(&second)
            .position(|(one, other)| one != other);
        if differing.is_some() || first.len() != second.len() {
            let at = differing.unwrap_or(first.len().min(second.len()));
            return self.find(seed, format!("traces differ at line {at}"), first);
        }
        self.rare += rare;
        self.traces.insert(first);
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse::<u64>().expect("a number"))
}

#[test]
fn every_promise_is_kept_and_a_seed_gives_the_same_trace_again() {
    if let Some(seed) = number("WOLFF_SIM_TRACE") {
        let (outcome, lines) = match run(seed) {
            Ok(report) => (Ok(()), report.trace.lines()),
            Err((violation, trace)) => (Err(violation), trace),
        };
        lines.iter().for_each(|line| println!("{line}"));
        outcome.expect("a kept promise");
        return;
    }
    let count = number("WOLFF_SIM_SEEDS").unwrap_or(SEEDS);
    let begin = number("WOLFF_SIM_SEED").unwrap_or(0) * count;
    let seeds: Vec<u64> = (begin..begin + count).collect();
    let mut all = Outcome::default();
    // Histories know nothing of each other, so two threads share them.
    std::thread::scope(|scope| {
        let halves = seeds.chunks(seeds.len().div_ceil(2));
        let halves: Vec<_> = halves
            .map(|half| {
                scope.spawn(move || {
                    let mut outcome = Outcome::default();
                    for seed in half {
                        outcome.run_twice(*seed);
                        if outcome.findings.len() >= MOST_FINDINGS {
                            break;
                        }
                    }
                    outcome
                })
            })
            .collect();
        for half in halves {
            let outcome = half.join().expect("its message is above");
            all.rare += outcome.rare;
            all.traces.extend(outcome.traces);
            all.findings.extend(outcome.findings);
            if all.first.is_empty() {
                all.first = outcome.first;
            }
        }
    });
    println!("{:#?}", all.rare);
    if let Some((seed, what)) = all.findings.first() {
        all.first.iter().for_each(|line| println!("{line}"));
        let command = format!("WOLFF_SIM_TRACE={seed} cargo test -p wolff-sim --test whole_stack");
        panic!("seed {seed}: {what}; again with {command}");
    }
    assert_eq!(
        all.traces.len(),
        seeds.len(),
        "every seed has a history of its own"
    );
    for (state, count) in all.rare.counts() {
        assert!(count > 0, "{state} was never reached");
    }
}
