//! Tables for people and `ratio` lines for scripts.

use std::time::Duration;

use crate::job::Measurement;
use crate::latency::Latencies;

/// The measurements of one contender.
#[derive(Clone, Debug)]
pub struct Series<M = Measurement> {
    /// Its name in the table.
    pub name: String,
    /// One per round.
    pub measurements: Vec<M>,
}

/// Lowest, middle and highest of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Lowest.
    pub min: f64,
    /// The middle one; of an even number the lower of both.
    pub median: f64,
    /// Highest.
    pub max: f64,
}

impl Spread {
    /// Of these figures; `None` without any.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let middle = figures.len().saturating_sub(1) / 2;
        Some(Self {
            min: *figures.first()?,
            median: *figures.get(middle)?,
            max: *figures.last()?,
        })
    }
}

impl Series {
    /// Records per second.
    #[must_use]
    pub fn rates(&self) -> Option<Spread> {
        Spread::of(
            self.measurements
                .iter()
                .map(Measurement::records_per_second)
                .collect(),
        )
    }

    /// CPU nanoseconds per record.
    #[must_use]
    pub fn costs(&self) -> Option<Spread> {
        Spread::of(
            self.measurements
                .iter()
                .map(Measurement::cpu_ns_per_record)
                .collect(),
        )
    }
}

impl Series {
    /// The greatest share of its core that the broker used.
    fn broker_share(&self) -> Option<f64> {
        self.measurements
            .iter()
            .filter_map(Measurement::broker_share)
            .max_by(f64::total_cmp)
    }
}

/// Prints one row per contender.
pub fn print_table(title: &str, series: &[Series]) {
    println!("\n{title}");
    println!(
        "  {:<34} {:>11} {:>11} {:>11}   {:>8} {:>8} {:>8}   {:>6}",
        "", "records/s", "", "", "CPU ns/", "record", "", "broker"
    );
    println!(
        "  {:<34} {:>11} {:>11} {:>11}   {:>8} {:>8} {:>8}   {:>6}",
        "", "min", "median", "max", "min", "median", "max", "busy"
    );
    for row in series {
        let (Some(rates), Some(costs)) = (row.rates(), row.costs()) else {
            println!("  {:<34} not measured", row.name);
            continue;
        };
        let broker = row
            .broker_share()
            .map_or(String::new(), |share| format!("{:.0} %", share * 100.0));
        println!(
            "  {:<34} {:>11.0} {:>11.0} {:>11.0}   {:>8.0} {:>8.0} {:>8.0}   {broker:>6}",
            row.name, rates.min, rates.median, rates.max, costs.min, costs.median, costs.max
        );
    }
}

/// Prints the most that each contender had in memory, one row each, KiB.
pub fn print_memory(series: &[Series]) {
    println!("\n  {:<34} {:>11} {:>11} {:>11}", "", "KiB, peak", "", "");
    println!("  {:<34} {:>11} {:>11} {:>11}", "", "min", "median", "max");
    for row in series {
        let peaks = row.measurements.iter().filter_map(|turn| {
            let kib = turn.peak_memory_kib?;
            u32::try_from(kib).ok().map(f64::from)
        });
        if let Some(Spread { min, median, max }) = Spread::of(peaks.collect()) {
            println!("  {:<34} {min:>11.0} {median:>11.0} {max:>11.0}", row.name);
        }
    }
}

/// Prints one row of latencies per contender, in microseconds.
pub fn print_latencies(title: &str, series: &[Series<Latencies>]) {
    println!("\n{title}");
    println!(
        "  {:<34} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8}   {:>8}",
        "", "p50 us", "", "", "p99 us", "", "", "slowest"
    );
    println!(
        "  {:<34} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8}   {:>8}",
        "", "min", "median", "max", "min", "median", "max", ""
    );
    for row in series {
        let (Some(p50), Some(p99), Some(max)) = (row.p50(), row.p99(), row.slowest()) else {
            println!("  {:<34} not measured", row.name);
            continue;
        };
        println!(
            "  {:<34} {:>8.0} {:>8.0} {:>8.0}   {:>8.0} {:>8.0} {:>8.0}   {:>8.0}",
            row.name, p50.min, p50.median, p50.max, p99.min, p99.median, p99.max, max.max
        );
    }
}

impl Series<Latencies> {
    fn spread(&self, of: impl Fn(&Latencies) -> Duration) -> Option<Spread> {
        let microseconds = |turn| of(turn).as_secs_f64() * 1e6;
        Spread::of(self.measurements.iter().map(microseconds).collect())
    }

    /// Medians of the turns, microseconds.
    #[must_use]
    pub fn p50(&self) -> Option<Spread> {
        self.spread(|turn| turn.p50)
    }

    /// Latency that one record in a hundred exceeded, microseconds.
    #[must_use]
    pub fn p99(&self) -> Option<Spread> {
        self.spread(|turn| turn.p99)
    }

    fn slowest(&self) -> Option<Spread> {
        self.spread(|turn| turn.max)
    }
}

/// Prints `ratio <prefix>_msgs_vs_<peer>` and `ratio <prefix>_cpu_vs_<peer>`: our median beside the
/// peer's best round, since peers can be bimodal and their fast mode is the bar.
pub fn print_ratios(prefix: &str, ours: &Series, peer: &Series, peer_name: &str) {
    if let (Some(ours), Some(theirs)) = (ours.rates(), peer.rates()) {
        println!(
            "ratio {prefix}_msgs_vs_{peer_name} {:.2}",
            ours.median / theirs.max
        );
    }
    if let (Some(ours), Some(theirs)) = (ours.costs(), peer.costs()) {
        println!(
            "ratio {prefix}_cpu_vs_{peer_name} {:.3}",
            ours.median / theirs.min
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_lowest_middle_and_highest() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            spread,
            Spread {
                min: 1.0,
                median: 2.0,
                max: 3.0
            }
        );
        assert_eq!(Spread::of(vec![4.0, 1.0]).unwrap().median, 1.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
