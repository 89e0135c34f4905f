//! Words that a broker says.

use std::fmt::{self, Write as _};

/// Nobody reads more.
const LONGEST_CHARACTERS: usize = 500;

/// Shows words of a broker on one line and with an end: what would break the line, move the cursor
/// of a terminal or turn what is beside it is escaped, and nothing follows the 500th character.
#[derive(Clone, Copy, Debug)]
pub struct BrokerWords<'a>(pub &'a str);

impl fmt::Display for BrokerWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = LONGEST_CHARACTERS;
        for letter in self.0.chars() {
            let escaped = must_be_escaped(letter).then(|| letter.escape_default());
            let Some(left) = room.checked_sub(escaped.as_ref().map_or(1, |text| text.len())) else {
                return f.write_char('…');
            };
            room = left;
            match escaped {
                Some(text) => write!(f, "{text}")?,
                None => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

fn must_be_escaped(letter: char) -> bool {
    // Line and paragraph separators, and what changes the direction of text.
    let is_format = matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_broker_stay_on_their_line_and_come_to_an_end() {
        let shown = |text: &str| BrokerWords(text).to_string();
        assert_eq!(shown("as it is, \\ äöü"), "as it is, \\ äöü");
        assert_eq!(
            shown("bad record\n  install the fix: curl\r\t\u{1b}[2J\u{202e}\u{2028}"),
            "bad record\\n  install the fix: curl\\r\\t\\u{1b}[2J\\u{202e}\\u{2028}"
        );
        assert_eq!(shown(&"x".repeat(500)), "x".repeat(500));
        for long in ["x".repeat(100_000), "\n".repeat(100_000)] {
            let once = shown(&long);
            assert_eq!(once.chars().count(), LONGEST_CHARACTERS + 1);
            assert!(once.ends_with('…'));
            assert_eq!(shown(&once), once, "shown again it stays the same");
        }
    }
}
