//! Values of flags that are more than a number or a word.

use std::str::FromStr;
use std::time::Duration;

use wolff::Strategy;

/// The longest topic name that Kafka takes.
const TOPIC_NAME_BYTES: usize = 249;

/// A time in seconds, with fractions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seconds(pub(crate) Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A longer time is for ever, and must not overflow when it is added to a clock.
        const LONGEST: f64 = 10.0 * 365.0 * 24.0 * 3600.0;
        let seconds: f64 = text
            .parse()
            .map_err(|_| "expected seconds, as 30 or 0.5".to_owned())?;
        if !seconds.is_finite() || seconds < 0.0 {
            return Err("expected seconds, 0 or more".to_owned());
        }
        Ok(Self(Duration::from_secs_f64(seconds.min(LONGEST))))
    }
}

/// Choice of a record's partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PartitionerName {
    Murmur2,
    Adaptive,
    Sticky,
    Crc32,
    Fnv1a,
    Phash2,
    Random,
    RoundRobin,
    Fixed(i32),
}

impl FromStr for PartitionerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "murmur2" => Ok(Self::Murmur2),
            "adaptive" => Ok(Self::Adaptive),
            "sticky" => Ok(Self::Sticky),
            "crc32" => Ok(Self::Crc32),
            "fnv1a" => Ok(Self::Fnv1a),
            "phash2" => Ok(Self::Phash2),
            "random" => Ok(Self::Random),
            "roundrobin" => Ok(Self::RoundRobin),
            number => match number.parse() {
                Ok(partition) if partition >= 0 => Ok(Self::Fixed(partition)),
                _ => Err(
                    "expected murmur2, adaptive, sticky, crc32, fnv1a, phash2, random, \
                     roundrobin, or the number of a partition"
                        .to_owned(),
                ),
            },
        }
    }
}

impl From<PartitionerName> for Strategy {
    fn from(name: PartitionerName) -> Self {
        match name {
            PartitionerName::Murmur2 => Self::MURMUR2,
            PartitionerName::Adaptive => Self::ADAPTIVE,
            PartitionerName::Sticky => Self::STICKY,
            PartitionerName::Crc32 => Self::CONSISTENT_RANDOM,
            PartitionerName::Fnv1a => Self::FNV1A,
            PartitionerName::Phash2 => Self::FIRST_KEY_DISPATCH,
            PartitionerName::Random => Self::Random,
            PartitionerName::RoundRobin => Self::RoundRobin,
            PartitionerName::Fixed(partition) => Self::Fixed(partition),
        }
    }
}

/// Separator of key and value in a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Delimiter(pub(crate) Vec<u8>);

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let meant = match letter {
                '\\' => match letters.next() {
                    Some('t') => '\t',
                    Some('0') => '\0',
                    Some('\\') => '\\',
                    _ => return Err(r"behind a backslash expected t, 0 or \".to_owned()),
                },
                other => other,
            };
            bytes.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
        }
        match bytes.as_slice() {
            [] => Err("an empty delimiter is found nowhere".to_owned()),
            bytes if bytes.contains(&b'\n') => Err("a line end cannot be inside a line".to_owned()),
            _ => Ok(Self(bytes)),
        }
    }
}

/// A topic to be created, as `NAME:PARTITIONS`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TopicSpec {
    pub(crate) name: String,
    pub(crate) partitions: i32,
}

impl FromStr for TopicSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected NAME:PARTITIONS, as orders:6".to_owned();
        let (name, partitions) = text.rsplit_once(':').ok_or_else(expected)?;
        let partitions = partitions.parse().map_err(|_| expected())?;
        if !(1..=10_000).contains(&partitions) {
            return Err("expected 1 to 10000 partitions".to_owned());
        }
        let name = topic_name(name)?;
        Ok(Self { name, partitions })
    }
}

/// A name that Kafka takes for a topic.
pub(super) fn topic_name(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > TOPIC_NAME_BYTES || text == "." || text == ".." {
        return Err("a topic name has 1 to 249 characters, and is not . or ..".to_owned());
    }
    if !text.bytes().all(is_allowed) {
        return Err("a topic name is made of a-z, A-Z, 0-9, dot, underscore and minus".to_owned());
    }
    Ok(text.to_owned())
}

/// A `NAME=VALUE` pair.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, as retention.ms=60000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_fractions_and_no_bad_values() {
        let seconds = |text: &str| text.parse().map(|Seconds(duration)| duration);
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert!(seconds("1e300").is_ok(), "that is for ever");
        for bad in ["", "soon", "-1", "NaN", "inf", "5s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn partitioners_have_names_or_are_a_partition() {
        assert_eq!("murmur2".parse(), Ok(PartitionerName::Murmur2));
        assert_eq!("adaptive".parse(), Ok(PartitionerName::Adaptive));
        assert_eq!("17".parse(), Ok(PartitionerName::Fixed(17)));
        for bad in ["", "-1", "crc", "Random", "99999999999"] {
            assert!(bad.parse::<PartitionerName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn delimiters_can_be_escaped() {
        let delimiter = |text: &str| text.parse().map(|Delimiter(bytes)| bytes);
        assert_eq!(delimiter(r"\t"), Ok(b"\t".to_vec()));
        assert_eq!(delimiter(r"\\::"), Ok(br"\::".to_vec()));
        assert_eq!(delimiter("→"), Ok("→".as_bytes().to_vec()));
        for bad in ["", "\n", r"\n", r"\"] {
            assert!(delimiter(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn topics_have_names_that_kafka_takes() {
        let spec = "a.b-c_1:3".parse::<TopicSpec>().unwrap();
        assert_eq!((spec.name.as_str(), spec.partitions), ("a.b-c_1", 3));
        for bad in ["a", "a:", "a:0", "a:x", ":1", "..:1", "ä:1", "a b:1"] {
            assert!(bad.parse::<TopicSpec>().is_err(), "{bad}");
        }
        assert!(topic_name(&"x".repeat(250)).is_err());
    }

    #[test]
    fn settings_are_pairs() {
        assert_eq!(setting("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(setting("a").is_err() && setting("=b").is_err());
    }
}
