//! Settings of a node that differ from the others', until its next restart.

use std::fmt;
use std::str::FromStr;

/// Settings and log levels beside the usual ones.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes {
    /// Settings of the broker; they win over the usual ones.
    pub(crate) config: Vec<Pair>,
    /// Loggers of Kafka and their levels.
    pub(crate) log_levels: Vec<Pair>,
}

/// A name and its value, as in `name=value`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pair {
    name: String,
    value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        match text.split_once('=') {
            Some((name, value))
                if !name.is_empty() && name.chars().all(is_plain) && !value.contains('\n') =>
            {
                Ok(Self {
                    name: name.to_owned(),
                    value: value.to_owned(),
                })
            }
            _ => Err("it must be like name=value".to_owned()),
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_one_line_with_a_name() {
        let pair: Pair = "listener.name.ssl.x=a=b".parse().unwrap();
        assert_eq!(pair.to_string(), "listener.name.ssl.x=a=b");
        for bad in ["", "x", "=x", "a b=c", "a=b\nc=d"] {
            assert!(bad.parse::<Pair>().is_err(), "{bad:?}");
        }
    }
}
