//! Rust source as tokens: just enough to find paths and attributes without being fooled by comments
//! and strings.

/// A piece of source. Comments, lifetimes and white space are left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind<'a> {
    /// An identifier, keyword or number; a raw identifier without its `r#`.
    Word(&'a str),
    /// `::`
    PathSeparator,
    /// Any other single character.
    Mark(char),
    /// A string or character literal.
    Literal,
}

/// A token and the line it begins in, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token<'a> {
    /// Its kind.
    pub(crate) kind: Kind<'a>,
    /// Where it is.
    pub(crate) line: usize,
}

/// The tokens of a source text.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
    };
    let mut tokens = Vec::new();
    while !lexer.rest.is_empty() {
        let line = lexer.line;
        if let Some(kind) = lexer.next_kind() {
            tokens.push(Token { kind, line });
        }
    }
    tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lexer<'a> {
    /// Takes one token, or something that is none (white space, a comment, a lifetime).
    fn next_kind(&mut self) -> Option<Kind<'a>> {
        let first = self.rest.chars().next()?;
        if first.is_whitespace() {
            self.take(first.len_utf8());
            return None;
        }
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            return None;
        }
        if self.rest.starts_with("/*") {
            self.skip_block_comment();
            return None;
        }
        if self.rest.starts_with("::") {
            self.take(2);
            return Some(Kind::PathSeparator);
        }
        if let Some(length) = self.raw_string_length().or_else(|| self.string_length()) {
            self.take(length);
            return Some(Kind::Literal);
        }
        if first == '\'' {
            return self.take_quote();
        }
        if is_word_letter(first) {
            if let Some(name) = self
                .rest
                .strip_prefix("r#")
                .filter(|name| name.starts_with(is_word_letter))
            {
                self.rest = name;
            }
            let length = self
                .rest
                .find(|letter| !is_word_letter(letter))
                .unwrap_or(self.rest.len());
            return Some(Kind::Word(self.take(length)));
        }
        self.take(first.len_utf8());
        Some(Kind::Mark(first))
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.line = self.line.saturating_add(taken.matches('\n').count());
        self.rest = rest;
        taken
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth = depth.saturating_add(1);
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth = depth.saturating_sub(1);
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else {
                let length = self.rest.chars().next().map_or(1, char::len_utf8);
                self.take(length);
            }
        }
    }

    /// Length of the raw string that begins here, if one does.
    fn raw_string_length(&self) -> Option<usize> {
        let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
            let behind = self.rest.strip_prefix(prefix);
            behind.is_some_and(|behind| behind.trim_start_matches('#').starts_with('"'))
        })?;
        let behind = self.rest.get(prefix.len()..)?;
        let hashes = behind
            .len()
            .checked_sub(behind.trim_start_matches('#').len())?;
        let head = prefix.len().checked_add(hashes)?.checked_add(1)?;
        let end = format!("\"{}", "#".repeat(hashes));
        let body = self.rest.get(head..)?;
        let length = body
            .find(&end)
            .map_or(body.len(), |at| at.saturating_add(end.len()));
        head.checked_add(length)
    }

    /// Length of the plain string (or byte character) that begins here, if one does.
    fn string_length(&self) -> Option<usize> {
        let (prefix, quote) = ["\"", "b\"", "c\"", "b'"].into_iter().find_map(|prefix| {
            let behind = self.rest.strip_prefix(prefix)?;
            Some((
                self.rest.len().checked_sub(behind.len())?,
                prefix.chars().last()?,
            ))
        })?;
        let mut is_escaped = false;
        for (at, letter) in self.rest.get(prefix..)?.char_indices() {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                _ if letter == quote => return prefix.checked_add(at)?.checked_add(1),
                _ => {}
            }
        }
        Some(self.rest.len())
    }

    /// A character literal, or a lifetime, which is left out.
    fn take_quote(&mut self) -> Option<Kind<'a>> {
        self.take(1);
        let mut letters = self.rest.chars();
        let (first, second) = (letters.next(), letters.next());
        if first == Some('\\') {
            self.take(1);
            let escaped = self.rest.chars().next().map_or(0, char::len_utf8);
            self.take(escaped);
            let end = self
                .rest
                .find('\'')
                .map_or(self.rest.len(), |at| at.saturating_add(1));
            self.take(end);
            Some(Kind::Literal)
        } else if second == Some('\'') {
            self.take(first.map_or(0, char::len_utf8).saturating_add(1));
            Some(Kind::Literal)
        } else {
            let length = self
                .rest
                .find(|letter| !is_word_letter(letter))
                .unwrap_or(self.rest.len());
            self.take(length);
            None
        }
    }
}

fn is_word_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text)
            .into_iter()
            .filter_map(|token| {
                if let Kind::Word(word) = token.kind {
                    Some(word)
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn comments_and_strings_hide_what_they_hold() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words(r#"a "b \" c" d b"e" f c"g" h"#), ["a", "d", "f", "h"]);
        assert_eq!(
            words(r###"a r"b\" c r#"d " e"# f br##"g "# h"## i"###),
            ["a", "c", "f", "i"]
        );
    }

    #[test]
    fn characters_differ_from_lifetimes() {
        assert_eq!(
            words(r"a 'b' '\'' '\u{1f}' b'x' b'\'' &'c d 'static e"),
            ["a", "d", "e"]
        );
        assert_eq!(words("'\u{201c}' x"), ["x"]);
    }

    #[test]
    fn a_raw_identifier_is_its_name() {
        assert_eq!(words("r#type r#mod"), ["type", "mod"]);
    }

    #[test]
    fn tokens_know_their_lines() {
        let lines: Vec<usize> = tokens("a\n/* \n */ b \"\n\" c")
            .iter()
            .map(|token| token.line)
            .collect();
        assert_eq!(lines, [1, 3, 3, 4]);
    }

    #[test]
    fn paths_are_words_and_separators() {
        let kinds: Vec<_> = tokens("a::b:c")
            .into_iter()
            .map(|token| token.kind)
            .collect();
        let expected = [
            Kind::Word("a"),
            Kind::PathSeparator,
            Kind::Word("b"),
            Kind::Mark(':'),
            Kind::Word("c"),
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn unfinished_source_ends() {
        for text in ["\"abc", "r#\"abc", "/* abc", "'", "'\\", "b'", "r#"] {
            tokens(text);
        }
    }
}
