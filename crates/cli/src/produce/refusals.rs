//! Refusals of brokers at the moment, for which records still wait.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use wolff::ProducerStats;

/// The last refusals of all partitions, by code.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<String, Refused>);

#[derive(Debug, Default)]
struct Refused {
    partitions: u64,
    message: Option<String>,
    is_held: bool,
}

impl Refusals {
    pub(super) fn of(stats: &ProducerStats) -> Self {
        let mut refusals = Self::default();
        for refused in &stats.refusals {
            let refusal = &refused.refusal;
            let entry = refusals.0.entry(refusal.code.to_string()).or_default();
            entry.partitions += 1;
            entry.is_held |= refusal.is_held;
            if entry.message.is_none() {
                entry.message = refusal.message.as_deref().map(str::to_owned);
            }
        }
        refusals
    }

    /// Partitions by the code that their leader refuses them with, for programs.
    pub(super) fn by_code(&self) -> BTreeMap<String, u64> {
        let entries = self.0.iter();
        entries
            .map(|(code, refused)| (code.clone(), refused.partitions))
            .collect()
    }

    /// The codes alone, where there are any.
    pub(super) fn codes(&self) -> Option<String> {
        let codes: Vec<_> = self.0.keys().map(String::as_str).collect();
        (!codes.is_empty()).then(|| codes.join(", "))
    }

    /// The refusals in words, where there are any.
    pub(super) fn words(&self) -> Option<String> {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|(code, refused)| refused.words(code))
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl Refused {
    fn words(&self, code: &str) -> String {
        let partitions = match self.partitions {
            1 => "1 partition".to_owned(),
            count => format!("{} partitions", HumanCount(count)),
        };
        let message = match self.message.as_deref() {
            Some(message) if !message.is_empty() => format!(" ({message})"),
            _ => String::new(),
        };
        let held = if self.is_held {
            ", which somebody has to lift"
        } else {
            ""
        };
        format!("the broker refuses the records of {partitions} with {code}{message}{held}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_by_code_with_the_brokers_words() {
        let mut refusals = Refusals::default();
        assert_eq!((refusals.codes(), refusals.words()), (None, None));
        let refused = |partitions, message: &str, is_held| Refused {
            partitions,
            message: Some(message.to_owned()),
            is_held,
        };
        (refusals.0).insert("NOT_ENOUGH_REPLICAS".to_owned(), refused(1, "", false));
        (refusals.0).insert("POLICY_VIOLATION".to_owned(), refused(2, "too old", true));
        assert_eq!(
            refusals.words().as_deref(),
            Some(
                "the broker refuses the records of 1 partition with NOT_ENOUGH_REPLICAS; the broker refuses the \
                 records of 2 partitions with POLICY_VIOLATION (too old), which somebody has to lift"
            )
        );
        let codes = refusals.codes();
        assert_eq!(
            codes.as_deref(),
            Some("NOT_ENOUGH_REPLICAS, POLICY_VIOLATION")
        );
        assert_eq!(refusals.by_code()["POLICY_VIOLATION"], 2);
    }
}
