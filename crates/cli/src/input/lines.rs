//! Lines of bytes as records.

use wolff::{Call, RecordRef};

/// The lines of a piece of input, without their line feeds. A carriage return is a byte like any
/// other.
pub(crate) fn lines(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len()))?;
        bytes = rest.get(1..).unwrap_or_default();
        Some(line)
    })
}

/// A line as a call of its own, borrowed from the buffer that it was read into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LineRecord<'a> {
    key: Option<&'a [u8]>,
    value: &'a [u8],
}

impl<'a> LineRecord<'a> {
    /// Splits a line at the first delimiter. Without one in it, or without any, all of it is the
    /// value.
    pub(crate) fn split(line: &'a [u8], delimiter: Option<&memchr::memmem::Finder<'_>>) -> Self {
        let found = delimiter.and_then(|finder| {
            let at = finder.find(line)?;
            Some((line.get(..at)?, line.get(at + finder.needle().len()..)?))
        });
        match found {
            Some((key, value)) => Self {
                key: Some(key),
                value,
            },
            None => Self {
                key: None,
                value: line,
            },
        }
    }
}

impl Call for LineRecord<'_> {
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        std::iter::once(RecordRef {
            timestamp_ms: now_ms,
            key: self.key,
            value: Some(self.value),
            headers: &[],
        })
    }
}

#[cfg(test)]
mod tests {
    use memchr::memmem::Finder;

    use super::*;

    fn split<'a>(line: &'a str, delimiter: Option<&str>) -> (Option<&'a str>, &'a str) {
        let finder = delimiter.map(Finder::new);
        let record = LineRecord::split(line.as_bytes(), finder.as_ref());
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        (record.key.map(text), text(record.value))
    }

    #[test]
    fn lines_end_with_line_feeds_and_with_the_input() {
        let all = |text: &'static str| lines(text.as_bytes()).collect::<Vec<_>>();
        assert!(all("").is_empty());
        assert_eq!(all("\n\n"), [b"", b""]);
        assert_eq!(all("a\r\nb"), [&b"a\r"[..], b"b"]);
    }

    #[test]
    fn the_first_delimiter_ends_the_key() {
        assert_eq!(split("a:b:c", Some(":")), (Some("a"), "b:c"));
        assert_eq!(split("a::b", Some("::")), (Some("a"), "b"));
        assert_eq!(
            split(":b", Some(":")),
            (Some(""), "b"),
            "an empty key is a key"
        );
        assert_eq!(split("a:", Some(":")), (Some("a"), ""));
        assert_eq!(split("ab", Some(":")), (None, "ab"));
        assert_eq!(split("a:b", None), (None, "a:b"));
    }
}
