//! Text of others, as far as it is fit to be shown.

/// Nobody reads more.
const LONGEST_CHARACTERS: usize = 300;

/// On one line, without what would move a terminal's cursor, and not without an end.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| !letter.is_control())
        .take(LONGEST_CHARACTERS)
        .collect();
    if text.len() > shown.len() && text.chars().nth(LONGEST_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_broker_stay_on_their_line_and_come_to_an_end() {
        assert_eq!(shown("as it is, äöü"), "as it is, äöü");
        assert_eq!(shown("a\u{1b}[2Jb\r\nc\0"), "a[2Jb  c");
        let long = shown(&"x".repeat(100_000));
        assert_eq!(long.chars().count(), LONGEST_CHARACTERS + 1);
        assert!(long.ends_with('…'));
        assert_eq!(shown(&"x".repeat(300)), "x".repeat(300));
    }
}
