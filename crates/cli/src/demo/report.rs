//! Findings of the demo: a table, and a verdict.

use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;
use serde::Serialize;

use super::tally::{Counts, Tally};
use crate::table::Table;

/// Counted facts.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Records that were to be produced.
    produced: u64,
    /// Records in the topic when the broker was killed.
    in_topic_at_outage: u64,
    /// Records that were reported to be on disk when the producer was killed.
    pub(super) promised: u64,
    /// Of those, the ones that were not in the topic after the run without input.
    pub(super) missing_of_promised: u64,
    /// Different records in the topic after the run without input.
    pub(super) arrived_without_input: u64,
    /// Records that never arrived.
    missing: u64,
    #[serde(flatten)]
    total: Counts,
    seconds: f64,
    #[serde(skip)]
    partitions: Vec<(i32, Counts)>,
}

impl Report {
    pub(super) fn new(in_topic_at_outage: u64, promised: u64) -> Self {
        Self {
            in_topic_at_outage,
            promised,
            ..Self::default()
        }
    }

    /// Takes what is in the topic at the end.
    pub(super) fn take(&mut self, tally: &Tally, records: u64, elapsed: Duration) {
        self.produced = records;
        self.missing = tally.missing_of(records);
        self.total = tally.total();
        self.seconds = (elapsed.as_secs_f64() * 10.0).round() / 10.0;
        self.partitions = tally
            .partitions()
            .map(|(number, counts)| (number, *counts))
            .collect();
    }

    /// Checks that the promises are kept.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let broken: Vec<_> = [
            (self.missing_of_promised, "missing that were promised"),
            (self.missing, "missing"),
            (self.total.altered, "altered"),
            (self.total.out_of_order, "out of order"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} records {what}", HumanCount(count)))
        .collect();
        if broken.is_empty() {
            Ok(())
        } else {
            Err(broken.join(", "))
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["partition", "arrived", "out of order", "altered", "twice"]);
        let mut row = |name: String, counts: &Counts| {
            let cells = [
                counts.arrived,
                counts.out_of_order,
                counts.altered,
                counts.duplicates,
            ];
            let [arrived, late, altered, twice] = cells.map(|count| HumanCount(count).to_string());
            table.row([name, arrived, late, altered, twice]);
        };
        for (number, counts) in &self.partitions {
            row(number.to_string(), counts);
        }
        row("all".to_owned(), &self.total);
        writeln!(f, "\n{table}\n")?;
        writeln!(
            f,
            "{} records produced, {} missing, {} altered, {} out of order; {} s",
            HumanCount(self.produced),
            HumanCount(self.missing),
            HumanCount(self.total.altered),
            HumanCount(self.total.out_of_order),
            self.seconds
        )?;
        write!(
            f,
            "{} arrived twice: sent again after the crash, or fed again by the source. Exactly once across \
             crashes is not promised yet.",
            HumanCount(self.total.duplicates)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_missing_altered_or_out_of_order_is_a_failure() {
        let fine = Report {
            total: Counts {
                duplicates: 5,
                ..Counts::default()
            },
            ..Report::default()
        };
        assert_eq!(fine.verdict(), Ok(()));
        let missing = Report {
            missing: 1,
            ..Report::default()
        };
        assert_eq!(missing.verdict(), Err("1 records missing".to_owned()));
        let promised = Report {
            missing_of_promised: 2,
            ..Report::default()
        };
        assert!(promised.verdict().is_err());
        for total in [
            Counts {
                altered: 1,
                ..Counts::default()
            },
            Counts {
                out_of_order: 1,
                ..Counts::default()
            },
        ] {
            assert!(
                Report {
                    total,
                    ..Report::default()
                }
                .verdict()
                .is_err()
            );
        }
    }
}
