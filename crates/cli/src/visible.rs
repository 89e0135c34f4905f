//! Letters that others wrote, for a terminal.

use std::fmt;

/// Writes a letter, or its number where it would move or turn what is beside it.
pub(crate) fn write_visible(out: &mut impl fmt::Write, letter: char) -> fmt::Result {
    let turns = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if turns || (letter.is_control() && letter != '\t') {
        write!(out, "{}", letter.escape_default())
    } else {
        out.write_char(letter)
    }
}
