//! Counting tests from what `cargo test` prints.

use std::collections::BTreeMap;
use std::fmt;

/// Results of the tests so far.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Ran and held.
    pub(crate) passed: usize,
    /// Ran and did not hold.
    pub(crate) failed: usize,
    /// Did not run.
    pub(crate) skipped: usize,
    /// Names of those that failed.
    pub(crate) failures: Vec<String>,
    /// Names of those that skipped themselves, by reason.
    pub(crate) skips: BTreeMap<String, Vec<String>>,
}

impl Tally {
    /// For a run that did not get as far as a test.
    pub(crate) fn with_one_failure() -> Self {
        Self {
            failed: 1,
            ..Self::default()
        }
    }

    /// Takes one line of the output into account.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) =
                (words.next().map(str::parse::<usize>), words.next())
            else {
                continue;
            };
            let counter = match what {
                "passed" => &mut self.passed,
                "failed" => &mut self.failed,
                "ignored" => &mut self.skipped,
                _ => continue,
            };
            *counter = counter.saturating_add(count);
        }
    }

    /// Something failed that is no test.
    pub(crate) fn fail(&mut self, what: &str) {
        self.failed = self.failed.saturating_add(1);
        self.failures.push(what.to_owned());
    }

    /// Moves tests that returned early, and so seemed to pass, to where they belong.
    pub(crate) fn count_skips(&mut self, skips: &BTreeMap<String, String>) {
        self.passed = self.passed.saturating_sub(skips.len());
        self.skipped = self.skipped.saturating_add(skips.len());
        for (name, reason) in skips {
            self.skips
                .entry(reason.clone())
                .or_default()
                .push(name.clone());
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Returns whether a person wants to see the line: everything but each single test that went well.
pub(crate) fn is_worth_showing(line: &str) -> bool {
    let is_success = line.starts_with("test ") && line.ends_with(" ... ok");
    let is_heading = line.starts_with("running ") && line.contains(" test");
    !(is_success || is_heading || line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 2 tests
test a::b ... ok
test a::c ... FAILED

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 40 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 12.34s
";

    #[test]
    fn results_of_all_binaries_are_added_up() {
        let mut tally = Tally::default();
        OUTPUT.lines().for_each(|line| tally.read(line));
        assert_eq!(tally.to_string(), "41 passed, 1 failed, 2 skipped");
        assert_eq!(tally.failures, ["a::c"]);
    }

    #[test]
    fn a_test_that_skipped_itself_is_not_passed() {
        let mut tally = Tally::default();
        OUTPUT.lines().for_each(|line| tally.read(line));
        let reason = "no Kafka".to_owned();
        tally.count_skips(
            &[
                ("a::b".to_owned(), reason.clone()),
                ("a::d".to_owned(), reason),
            ]
            .into(),
        );
        assert_eq!(tally.to_string(), "39 passed, 1 failed, 4 skipped");
        assert_eq!(tally.skips["no Kafka"], ["a::b", "a::d"]);
    }

    #[test]
    fn successes_are_not_shown() {
        let shown: Vec<_> = OUTPUT
            .lines()
            .filter(|line| is_worth_showing(line))
            .collect();
        assert_eq!(shown.len(), 3);
        assert_eq!(shown[0], "test a::c ... FAILED");
    }
}
