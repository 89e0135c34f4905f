//! A file is a noun. One that has grown long has another noun in it, which wants to come out.

use super::lexer::tokens;
use super::problem::Problem;
use super::text_file::TextFile;
use std::path::Path;

/// Most lines of a file; in tests comments and blank lines do not count.
const MOST: usize = 450;

/// Folders whose Rust files comply, and stay so.
const CHECKED: [&str; 2] = ["crates/core", "crates/wolff"];

/// Looks through the Rust files of the folders that comply.
pub(crate) fn check(files: &[TextFile]) -> Vec<Problem> {
    let checked = files.iter().filter(|file| is_checked(&file.path));
    checked.filter_map(check_file).collect()
}

fn is_checked(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
        && CHECKED.iter().any(|folder| path.starts_with(folder))
}

fn check_file(file: &TextFile) -> Option<Problem> {
    let is_source = file.path.iter().any(|folder| folder == "src");
    let count = if is_source {
        file.text.lines().count()
    } else {
        let mut lines: Vec<usize> = tokens(&file.text).iter().map(|token| token.line).collect();
        lines.dedup();
        lines.len()
    };
    (count > MOST).then(|| {
        let what = format!("{count} lines; {MOST} is the limit");
        Problem::in_file(&file.path, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn problems(path: &str, text: &str) -> Vec<Problem> {
        let path = PathBuf::from(path);
        let text = text.to_owned();
        check(&[TextFile { path, text }])
    }

    #[test]
    fn a_long_file_is_found_and_comments_of_tests_do_not_count() {
        let long = "fn f() {}\n".repeat(MOST + 1);
        assert_eq!(problems("crates/core/src/a.rs", &long).len(), 1);
        assert_eq!(problems("crates/wolff/tests/a.rs", &long).len(), 1);
        assert_eq!(problems("crates/codec/src/a.rs", &long), []);
        let commented = "// why\n\nfn f() {}\n".repeat(MOST);
        assert_eq!(problems("crates/core/src/a.rs", &commented).len(), 1);
        assert_eq!(problems("crates/core/tests/a.rs", &commented), []);
    }
}
