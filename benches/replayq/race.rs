//! Contenders that time themselves, taking turns: what a round has to prepare and to clear away does not count.

use std::time::Duration;

use wolff_benches::Outcome;

/// One of those that do the same work: its name, and one round of the work, which returns the time that counts.
pub(crate) type Runner<'a> = (&'static str, Box<dyn FnMut() -> Duration + 'a>);

/// Lets all take turns, once to warm up and then for some rounds; the outcomes are in their order.
pub(crate) fn race(mut runners: Vec<Runner<'_>>, rounds: usize) -> Vec<Outcome> {
    let mut times: Vec<Vec<Duration>> = runners.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds.max(3) {
        for ((_, run), times) in runners.iter_mut().zip(&mut times) {
            let time = run();
            if round > 0 {
                times.push(time);
            }
        }
    }
    runners
        .iter()
        .zip(&mut times)
        .map(|((name, _), times)| outcome(name, times))
        .collect()
}

/// Minimum, median and maximum of some times.
pub(crate) fn outcome(name: &'static str, times: &mut [Duration]) -> Outcome {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    Outcome {
        name,
        min: at(0),
        median: at(times.len() / 2),
        max: at(times.len().saturating_sub(1)),
    }
}

/// Prints what each did with so many items and bytes in a round.
pub(crate) fn print(title: &str, items: usize, bytes: usize, outcomes: &[Outcome]) {
    println!("{title}: median (min … max)");
    for outcome in outcomes {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let [median, best, worst] = [outcome.median, outcome.min, outcome.max].map(|time| {
            (
                time.as_secs_f64() * 1e9 / items as f64,
                bytes as f64 / time.as_secs_f64() / 1e6,
            )
        });
        println!(
            "  {:<34} {:>9.1} ns/item ({:.1} … {:.1}) {:>8.0} MB/s ({:.0} … {:.0})",
            outcome.name, median.0, best.0, worst.0, median.1, worst.1, best.1
        );
    }
}

/// Prints the ratio of the medians, and of each with the luck of the other's worst and best round beside it.
pub(crate) fn print_ratio(name: &str, ours: &Outcome, other: &Outcome) {
    let of = |left: Duration, right: Duration| right.as_secs_f64() / left.as_secs_f64();
    println!(
        "  ({name}: {:.2} … {:.2})",
        of(ours.max, other.min),
        of(ours.min, other.max)
    );
    wolff_benches::print_ratio(name, ours.speed_relative_to(other));
}
