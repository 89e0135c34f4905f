//! Comments are narrow enough to read beside code, and derives come in one order, so that nobody
//! has to choose.

use super::problem::Problem;
use super::text_file::TextFile;
use std::path::Path;

/// The longest line that is a comment, in characters.
const WIDTH: usize = 100;

/// Folders whose Rust files comply, and stay so.
const CHECKED: &[&str] = &[
    "crates/codec",
    "crates/testbroker",
    "fuzz",
    "tests/codec-conformance",
    "xtask",
];

/// Looks through the Rust files of the folders that comply.
pub(crate) fn check(files: &[TextFile]) -> Vec<Problem> {
    let checked = files.iter().filter(|file| is_checked(&file.path));
    checked
        .flat_map(|file| {
            wide_comments(file)
                .into_iter()
                .chain(unordered_derives(file))
        })
        .collect()
}

fn is_checked(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
        && CHECKED.iter().any(|folder| path.starts_with(folder))
}

/// Rows of tables are left alone: they cannot be broken.
fn wide_comments(file: &TextFile) -> Vec<Problem> {
    let is_wide = |line: &str| {
        let text = line.trim_start();
        let content = text.trim_start_matches(['/', '!']).trim_start();
        text.starts_with("//") && !content.starts_with('|') && line.chars().count() > WIDTH
    };
    let lines = (1_usize..).zip(file.text.lines());
    lines
        .filter(|(_, line)| is_wide(line))
        .map(|(number, line)| {
            let what = format!(
                "a comment of {} characters; {WIDTH} is the limit",
                line.chars().count()
            );
            Problem::in_line(&file.path, number, what)
        })
        .collect()
}

/// A list of derives over several lines is too long to be misread, and is left alone.
fn unordered_derives(file: &TextFile) -> Vec<Problem> {
    let lines = (1_usize..).zip(file.text.lines());
    let derives = lines.filter_map(|(number, line)| {
        let list = line.trim().strip_prefix("#[derive(")?.strip_suffix(")]")?;
        let names: Vec<&str> = list.split(',').map(str::trim).collect();
        (!names.is_sorted()).then_some((number, names))
    });
    derives
        .map(|(number, mut names)| {
            names.sort_unstable();
            let what = format!("derives in another order than `{}`", names.join(", "));
            Problem::in_line(&file.path, number, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn problems(path: &str, text: &str) -> usize {
        let file = TextFile {
            path: PathBuf::from(path),
            text: text.to_owned(),
        };
        check(&[file]).len()
    }

    #[test]
    fn a_wide_comment_is_found_and_wide_code_is_rustfmts() {
        let wide = "x".repeat(98);
        assert_eq!(problems("xtask/src/a.rs", &format!("/// {wide}")), 1);
        assert_eq!(problems("xtask/src/a.rs", &format!("    // {wide}")), 1);
        assert_eq!(
            problems("xtask/src/a.rs", &format!("/// {}", &wide[2..])),
            0
        );
        assert_eq!(problems("xtask/src/a.rs", &format!("let a = {wide};")), 0);
        assert_eq!(problems("xtask/src/a.rs", &format!("//! | {wide} |")), 0);
        assert_eq!(problems("xtask/a.md", &format!("// {wide}")), 0);
        assert_eq!(problems("elsewhere/a.rs", &format!("// {wide}")), 0);
    }

    #[test]
    fn derives_have_one_order() {
        assert_eq!(problems("fuzz/a.rs", "#[derive(Clone, Debug, Eq)]"), 0);
        assert_eq!(problems("fuzz/a.rs", "    #[derive(Debug, Clone)]"), 1);
    }
}
