//! Text of others, as far as it is fit to be shown.

use wolff_codec::ErrorCode;

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

/// Advice about a broker's code, for the end of a text; empty where there is nothing to say.
pub(crate) fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
            "; create it, or check its name and the permission to describe it"
        }
        ErrorCode::INVALID_TOPIC_EXCEPTION => {
            "; a name has at most 249 letters, digits, `.`, `_` and `-`"
        }
        ErrorCode::LEADER_NOT_AVAILABLE => "; it may be being created, or its brokers are down",
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            "; grant this principal the permission (ACL)"
        }
        ErrorCode::POLICY_VIOLATION => "; see the policies that the brokers are configured with",
        ErrorCode::UNSUPPORTED_VERSION => "; the broker is too old or too new for it",
        code if code.is_retriable() => "; it may pass: try again",
        _ => "",
    }
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
