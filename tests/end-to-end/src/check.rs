//! Comparison of a topic with the file of lines that it must hold.

use std::collections::HashMap;

use serde::Serialize;

use crate::Failure;

/// Lines that must be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expectation {
    /// The first so many lines must be there; the others may be. `None`: all of them.
    pub required_lines: Option<usize>,
    /// True if a line may be there more often than it should.
    pub allow_duplicates: bool,
}

/// Counts of a comparison.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Lines of the file.
    pub lines: u64,
    /// Of those: empty ones.
    pub empty_lines: u64,
    /// Lines that must be in the topic.
    pub required_lines: u64,
    /// Messages of the topic.
    pub messages: u64,
    /// Messages per partition.
    pub messages_by_partition: Vec<u64>,
    /// Lines that must be there and are not.
    pub missing: u64,
    /// Messages beyond the number of lines that are like them.
    pub duplicates: u64,
    /// Messages whose value is no line of the file, or that have none.
    pub unknown: u64,
    /// Lines whose first message stands behind that of a later line in the same partition.
    pub out_of_order: u64,
    /// The first missing lines, shortened.
    pub examples_of_missing: Vec<String>,
    /// The first unknown values, shortened.
    pub examples_of_unknown: Vec<String>,
    /// True if everything is as it must be.
    pub ok: bool,
}

/// Examples that are kept.
const EXAMPLES: usize = 5;

/// Characters of an example that are shown.
const EXAMPLE_LENGTH: usize = 60;

/// Where a text is in the file, and how often it was seen in the topic.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Index of its first line.
    first_line: usize,
    /// Lines like it.
    in_file: u64,
    /// Lines like it that must be there.
    required: u64,
    seen: u64,
}

/// Compares messages with the lines of a file, held in memory.
///
/// Order is checked for lines that are unique: of lines that are alike, empty ones above all, only
/// the number is.
#[derive(Debug)]
pub struct Check<'a> {
    entries: HashMap<&'a [u8], Entry>,
    /// Line after the highest one that has been seen in the partition.
    next_line: Vec<usize>,
    allow_duplicates: bool,
    report: Report,
}

impl<'a> Check<'a> {
    /// Of a file's content.
    ///
    /// # Errors
    /// More lines are required than there are.
    pub fn new(text: &'a [u8], partitions: i32, expectation: Expectation) -> Result<Self, Failure> {
        let mut entries: HashMap<&'a [u8], Entry> = HashMap::new();
        let mut report = Report::default();
        let required = expectation.required_lines.unwrap_or(usize::MAX);
        for (line, bytes) in lines_of(text).enumerate() {
            let entry = entries.entry(bytes).or_insert(Entry {
                first_line: line,
                in_file: 0,
                required: 0,
                seen: 0,
            });
            entry.in_file += 1;
            entry.required += u64::from(line < required);
            report.lines += 1;
            report.required_lines += u64::from(line < required);
            report.empty_lines += u64::from(bytes.is_empty());
        }
        if expectation
            .required_lines
            .is_some_and(|required| u64::try_from(required) != Ok(report.required_lines))
        {
            return Err(format!(
                "{required} lines are required, the file has {}",
                report.lines
            )
            .into());
        }
        let partitions = usize::try_from(partitions)?;
        report.messages_by_partition = vec![0; partitions];
        let next_line = vec![0; partitions];
        Ok(Self {
            entries,
            next_line,
            allow_duplicates: expectation.allow_duplicates,
            report,
        })
    }

    /// Takes the next message of a partition into account.
    ///
    /// # Errors
    /// There is no such partition.
    pub fn message(&mut self, partition: i32, value: Option<&[u8]>) -> Result<(), Failure> {
        let index = usize::try_from(partition)?;
        let count = self
            .report
            .messages_by_partition
            .get_mut(index)
            .ok_or("no such partition")?;
        *count += 1;
        self.report.messages += 1;
        let Some(entry) = value.and_then(|value| self.entries.get_mut(value)) else {
            self.report.unknown += 1;
            let shown = value.map_or_else(|| "(no value)".to_owned(), shorten);
            keep_example(&mut self.report.examples_of_unknown, shown);
            return Ok(());
        };
        entry.seen += 1;
        if entry.in_file == 1 && entry.seen == 1 {
            let next = self.next_line.get_mut(index).ok_or("no such partition")?;
            self.report.out_of_order += u64::from(entry.first_line < *next);
            *next = (*next).max(entry.first_line + 1);
        }
        Ok(())
    }

    /// The verdict.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let mut missing = Vec::new();
        for (bytes, entry) in &self.entries {
            self.report.duplicates += entry.seen.saturating_sub(entry.in_file);
            if entry.seen < entry.required {
                self.report.missing += entry.required - entry.seen;
                missing.push((entry.first_line, *bytes));
            }
        }
        missing.sort_unstable();
        for (line, bytes) in missing {
            keep_example(
                &mut self.report.examples_of_missing,
                format!("line {}: {}", line + 1, shorten(bytes)),
            );
        }
        self.report.ok = self.report.missing == 0
            && self.report.unknown == 0
            && self.report.out_of_order == 0
            && (self.allow_duplicates || self.report.duplicates == 0);
        self.report
    }
}

/// The lines of a text; the last one need not end in a line feed.
fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn shorten(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .take(EXAMPLE_LENGTH)
        .collect()
}

fn keep_example(examples: &mut Vec<String>, example: String) {
    if examples.len() < EXAMPLES {
        examples.push(example);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Expectation = Expectation {
        required_lines: None,
        allow_duplicates: false,
    };

    fn check(text: &str, expectation: Expectation, messages: &[(i32, &str)]) -> Report {
        let mut check = Check::new(text.as_bytes(), 2, expectation).unwrap();
        for (partition, value) in messages {
            check.message(*partition, Some(value.as_bytes())).unwrap();
        }
        check.finish()
    }

    #[test]
    fn each_line_once_and_in_order_per_partition_is_right() {
        let report = check(
            "a\n\nb\nc\n\n",
            STRICT,
            &[(0, "a"), (1, "b"), (1, ""), (0, "c"), (1, "")],
        );
        assert!(report.ok, "{report:?}");
        assert_eq!(
            (report.lines, report.empty_lines, report.messages),
            (5, 2, 5)
        );
        assert_eq!(report.messages_by_partition, [2, 3]);
    }

    #[test]
    fn a_missing_line_is_named() {
        let report = check("a\nb\n\n", STRICT, &[(0, "a")]);
        assert!(!report.ok);
        assert_eq!(report.missing, 2);
        assert_eq!(report.examples_of_missing, ["line 2: b", "line 3: "]);
    }

    #[test]
    fn a_duplicate_is_wrong_unless_allowed() {
        let messages = [(0, "a"), (0, "b"), (0, "a"), (1, "b")];
        assert_eq!(check("a\nb", STRICT, &messages).duplicates, 2);
        assert!(!check("a\nb", STRICT, &messages).ok);
        assert!(
            check(
                "a\nb",
                Expectation {
                    allow_duplicates: true,
                    ..STRICT
                },
                &messages
            )
            .ok
        );
    }

    #[test]
    fn order_is_that_of_first_messages_within_a_partition() {
        let report = check("a\nb\nc", STRICT, &[(0, "b"), (0, "a"), (1, "c")]);
        assert_eq!(report.out_of_order, 1);
        assert!(!report.ok);
    }

    #[test]
    fn what_is_no_line_is_unknown() {
        let report = check("a", STRICT, &[(0, "a"), (0, "A")]);
        assert_eq!((report.unknown, report.ok), (1, false));
        assert_eq!(report.examples_of_unknown, ["A"]);
    }

    #[test]
    fn only_required_lines_can_be_missing() {
        let expectation = Expectation {
            required_lines: Some(2),
            ..STRICT
        };
        assert!(check("a\nb\nc", expectation, &[(0, "a"), (0, "b")]).ok);
        assert!(check("a\nb\nc", expectation, &[(0, "a"), (0, "b"), (0, "c")]).ok);
        assert_eq!(
            check("a\nb\nc", expectation, &[(0, "a"), (0, "c")]).missing,
            1
        );
        assert!(Check::new(b"a", 1, expectation).is_err());
    }
}
