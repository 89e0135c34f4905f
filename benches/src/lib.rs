//! Tools that the benchmarks share: timing contenders in turns, and saying what came of it.
//!
//! On a shared machine only ratios within one run mean something. Hence contenders take turns (A B
//! A B …), in rounds that are short against the machine's moods, and a ratio is taken of the
//! medians. What is measured is the time that the processor spent on this thread: others that want
//! the processor too do not count.

use std::{hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Approximate duration of one turn of a contender.
const TURN: Duration = Duration::from_millis(4);

/// One of those that do the same work.
pub struct Contender<'a> {
    name: &'static str,
    work: Box<dyn FnMut() + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> Contender<'a> {
    /// A contender; `work` does one unit of the work and returns what must not be optimised away.
    pub fn new<T>(name: &'static str, mut work: impl FnMut() -> T + 'a) -> Self {
        Self {
            name,
            work: Box::new(move || {
                black_box(work());
            }),
        }
    }

    fn run(&mut self, times: u32) -> Duration {
        let start = processor_time();
        for _ in 0..times {
            (self.work)();
        }
        processor_time().saturating_sub(start)
    }

    /// Returns how many units fill a turn; warms up at the same time.
    fn units_per_turn(&mut self) -> u32 {
        let mut units = 1;
        loop {
            if self.run(units) >= TURN || units > u32::MAX / 2 {
                return units;
            }
            units *= 2;
        }
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither part of such a time is negative.
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

/// The time that one unit of work took a contender.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The contender.
    pub name: &'static str,
    /// In its best round.
    pub min: Duration,
    /// In the middle one.
    pub median: Duration,
    /// In its worst.
    pub max: Duration,
}

impl Outcome {
    /// Returns how many times as fast as the other: above 1 when this one took less time.
    #[must_use]
    pub fn speed_relative_to(&self, other: &Self) -> f64 {
        other.median.as_secs_f64() / self.median.as_secs_f64()
    }
}

/// Lets the contenders take turns for some rounds; the outcomes are in their order. `rounds` is at
/// least 3.
///
/// For work that this thread does alone: what it waits for, or leaves to others, is not measured.
#[must_use]
pub fn compare<const N: usize>(mut contenders: [Contender<'_>; N], rounds: usize) -> [Outcome; N] {
    let units = contenders.each_mut().map(Contender::units_per_turn);
    let mut times = contenders.each_ref().map(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds.max(3) {
        for ((contender, units), times) in contenders.iter_mut().zip(units).zip(&mut times) {
            times.push(contender.run(units) / units);
        }
    }
    let mut times = times.into_iter();
    contenders.map(|contender| {
        let mut times = times.next().unwrap_or_default();
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        Outcome {
            name: contender.name,
            min: at(0),
            median: at(times.len() / 2),
            max: at(times.len() - 1),
        }
    })
}

/// Prints the outcomes of a comparison as rows of a table; `units` says how many records (or so)
/// one unit of work has.
pub fn print_table(title: &str, units: u32, outcomes: &[Outcome]) {
    println!("{title}: ns per item, median (min … max)");
    for outcome in outcomes {
        let [median, min, max] = [outcome.median, outcome.min, outcome.max]
            .map(|time| time.as_secs_f64() * 1e9 / f64::from(units));
        println!("  {:<28} {median:>9.2} ({min:.2} … {max:.2})", outcome.name);
    }
}

/// Prints a ratio for people and scripts alike.
pub fn print_ratio(name: &str, value: f64) {
    println!("ratio {name} {value:.2}");
}
