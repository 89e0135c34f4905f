//! Why records were given up, counted by reason.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use wolff_core::FailReason;

use crate::error::with_causes;

/// Different reasons that are told apart; the rest is counted together.
const MAX_REASONS: usize = 32;

/// Counts by reason, in words.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<String, u64>>);

impl Failures {
    pub(crate) fn record(&self, reason: &FailReason, records: u32) {
        let words = match reason {
            // Sizes differ from call to call; the reason does not.
            FailReason::MessageTooLarge { .. } => {
                "message too large: raise the topic's max.message.bytes or send smaller records"
                    .to_owned()
            }
            other => with_causes(other),
        };
        let mut counts = self.0.lock();
        let known = counts.contains_key(&words) || counts.len() < MAX_REASONS;
        let key = if known {
            words
        } else {
            "other reasons".to_owned()
        };
        *counts.entry(key).or_default() += u64::from(records);
    }

    /// Records by reason.
    pub(crate) fn counts(&self) -> Vec<(String, u64)> {
        self.0
            .lock()
            .iter()
            .map(|(reason, records)| (reason.clone(), *records))
            .collect()
    }
}
