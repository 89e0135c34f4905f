//! Which foreign implementation has checked which API in which versions, as a page:
//! `golden/README.md`.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::ApiKey as PeerApiKey;
use wolff_codec::ApiKey;
use wolff_codec::messages::AnyRequest;

use crate::golden::{Batch, Direction, Message};

const INTRODUCTION: &str = "\
# What other implementations wrote

Recorded by `cargo xtask golden`, which writes this page too. The tests of this package decode every message and encode it to
the same bytes, cut it at every byte, and append to it; they read every batch, and write the uncompressed ones to the same
bytes.

- `messages/<API>.txt`: a line per message: version, direction, writer, and in hexadecimal the frame without its length prefix.
- `batches.txt`: a line per record batch: writer, compression, bytes. All hold the same records.
- `tables.txt`: the error codes and APIs of Kafka's own clients.

## Messages

How each version was checked:

- **broker**: Apache Kafka understood the request that this crate wrote, and this crate the response.
- **a client**: it wrote the request to a broker, through a proxy that lets brokers seem older; it understood the response,
  which the proxy had decoded and encoded again by this crate.
- **kafka-protocol**: the crate of that name; random messages of both directions, the same bytes each way.

";

/// The page.
#[must_use]
pub fn page(messages: &[Message], batches: &[Batch]) -> String {
    let writers: BTreeSet<&str> = messages
        .iter()
        .filter(|message| message.direction == Direction::Request && message.writer != "wolff")
        .map(|message| program(&message.writer))
        .collect();
    let mut page = String::from(INTRODUCTION);
    let headings: Vec<&str> = ["API", "versions", "broker"]
        .into_iter()
        .chain(writers.iter().copied())
        .chain(["kafka-protocol"])
        .collect();
    page += &row(&headings);
    page += &row(&vec!["---"; headings.len()]);
    for (api_key, versions) in apis() {
        let by = |writer: &str| {
            let of_writer = messages.iter().filter(|message| {
                message.api_key == api_key
                    && message.direction == Direction::Request
                    && program(&message.writer) == writer
            });
            ranges(&of_writer.map(|message| message.version).collect())
        };
        let mut cells = vec![api_key.to_string(), ranges(&versions), by("wolff")];
        cells.extend(writers.iter().map(|writer| by(writer)));
        let by_peer = versions
            .iter()
            .copied()
            .filter(|&version| has_peer(api_key, version));
        cells.push(ranges(&by_peer.collect()));
        page += &row(&cells);
    }
    page += "\nThe programs:\n\n";
    let mut programs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for writer in messages.iter().map(|message| message.writer.as_str()) {
        programs.entry(program(writer)).or_default().insert(writer);
    }
    for (program, releases) in programs.iter().filter(|(program, _)| **program != "wolff") {
        let releases: Vec<&str> = releases.iter().copied().collect();
        page += &format!("- {program}: {}\n", releases.join(", "));
    }
    page += "\n## Record batches\n\nWritten by these, read here; written here, read by these through a broker:\n\n";
    for of_writer in batches.chunk_by(|left, right| left.writer == right.writer) {
        let compressions: Vec<&str> = of_writer.iter().map(|batch| batch.compression).collect();
        if let Some(batch) = of_writer.first() {
            page += &format!("- {}: {}\n", batch.writer, compressions.join(", "));
        }
    }
    page
}

/// Every API with its versions.
fn apis() -> impl Iterator<Item = (ApiKey, BTreeSet<i16>)> {
    let versions = |&api_key: &ApiKey| Some((api_key, AnyRequest::versions(api_key)?.collect()));
    ApiKey::NAMED.iter().filter_map(versions)
}

/// Returns whether the `kafka-protocol` crate has this version, in both directions.
#[must_use]
pub fn has_peer(api_key: ApiKey, version: i16) -> bool {
    // Of these it has the responses alone, whatever its table says.
    if matches!(
        (api_key, version),
        (ApiKey::OFFSET_COMMIT | ApiKey::OFFSET_FETCH, 10)
    ) {
        return false;
    }
    PeerApiKey::try_from(api_key.0).is_ok_and(|peer| {
        let versions = peer.valid_versions();
        (versions.min..=versions.max).contains(&version)
    })
}

/// `franz-go` of `franz-go-1.22.3`.
fn program(writer: &str) -> &str {
    match writer.rsplit_once('-') {
        Some((program, release)) if release.starts_with(|first: char| first.is_ascii_digit()) => {
            program
        }
        _ => writer,
    }
}

fn row(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// `0-3, 5` of 0, 1, 2, 3 and 5.
fn ranges(numbers: &BTreeSet<i16>) -> String {
    let numbers: Vec<i16> = numbers.iter().copied().collect();
    let runs = numbers.chunk_by(|left, right| left + 1 == *right);
    let run = |run: &[i16]| match run {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    };
    runs.map(run).collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(
            ranges(&BTreeSet::from([0, 1, 2, 3, 5, 7, 8])),
            "0-3, 5, 7-8"
        );
        assert_eq!(ranges(&BTreeSet::new()), "");
    }

    #[test]
    fn a_program_is_named_without_its_release() {
        assert_eq!(program("franz-go-1.22.3"), "franz-go");
        assert_eq!(program("wolff"), "wolff");
    }
}
