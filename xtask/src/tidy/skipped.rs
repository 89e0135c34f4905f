//! No test is switched off: one that cannot run says why it was skipped, and is counted as skipped.

use super::lexer::{Kind, Token, tokens};
use super::problem::Problem;
use super::text_file::TextFile;

/// Looks for `#[ignore]` and for documentation examples marked `ignore`.
pub(crate) fn check(files: &[TextFile]) -> Vec<Problem> {
    let sources = files.iter().filter(|file| {
        file.path
            .extension()
            .is_some_and(|extension| extension == "rs")
    });
    sources
        .flat_map(|file| {
            ignored_tests(file)
                .into_iter()
                .chain(ignored_examples(file))
        })
        .collect()
}

fn ignored_tests(file: &TextFile) -> Vec<Problem> {
    let tokens = tokens(&file.text);
    let is_attribute = |window: &[Token<'_>]| {
        let kinds: Vec<_> = window.iter().map(|token| token.kind).collect();
        match kinds.as_slice() {
            [Kind::Mark('#'), Kind::Mark('['), Kind::Word("ignore")] => true,
            // The last part of `#[cfg_attr(…, ignore)]`.
            [
                Kind::Mark(','),
                Kind::Word("ignore"),
                Kind::Mark(')' | '=' | ','),
            ] => true,
            _ => false,
        }
    };
    let found = tokens.windows(3).filter(|window| is_attribute(window));
    let line = |window: &[Token<'_>]| window.first().map_or(0, |token| token.line);
    let problem = |line| {
        Problem::in_line(
            &file.path,
            line,
            "`#[ignore]`: let the test run, or let it say why it is skipped",
        )
    };
    found.map(line).map(problem).collect()
}

fn ignored_examples(file: &TextFile) -> Vec<Problem> {
    let is_ignored = |line: &str| {
        let doc = line.trim_start();
        let text = doc.strip_prefix("///").or_else(|| doc.strip_prefix("//!"));
        let fence = text.and_then(|text| text.trim_start().strip_prefix("```"));
        fence.is_some_and(|fence| fence.split([',', ' ']).any(|word| word == "ignore"))
    };
    let lines = (1_usize..).zip(file.text.lines());
    let found = lines.filter(|(_, line)| is_ignored(line));
    found
        .map(|(number, _)| {
            Problem::in_line(
                &file.path,
                number,
                "an example marked `ignore`: let it run, or mark it `text`",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        let file = TextFile {
            path: "x.rs".into(),
            text: text.to_owned(),
        };
        check(&[file]).len()
    }

    #[test]
    fn ignored_tests_are_found() {
        assert_eq!(found("#[test]\n#[ignore]\nfn f() {}"), 1);
        assert_eq!(found("#[ignore = \"slow\"]"), 1);
        assert_eq!(found("#[cfg_attr(windows, ignore)]"), 1);
    }

    #[test]
    fn ignored_examples_are_found() {
        assert_eq!(found("/// ```ignore\n/// f();\n/// ```"), 1);
        assert_eq!(found("//! ```rust,ignore"), 1);
    }

    #[test]
    fn the_word_alone_is_fine() {
        assert_eq!(
            found("// #[ignore]\nlet x = \"#[ignore]\"; ignore(x); /// ```no_run\n/// ignore ```"),
            0
        );
    }
}
