//! The table of owners in ARCHITECTURE.md names types and files that are there, each type in one of
//! the files of its row.

use super::problem::Problem;
use super::text_file::TextFile;
use std::path::{Path, PathBuf};

const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Owners";

/// Folders of crates that have rows.
const CRATES: [&str; 4] = ["core", "wolff", "client", "replayq"];

/// Compares each row with the files.
pub(crate) fn check(files: &[TextFile]) -> Vec<Problem> {
    let Some(page) = files.iter().find(|file| file.path == Path::new(PAGE)) else {
        return vec![Problem::in_file(Path::new(PAGE), "is not there")];
    };
    let lines = (1_usize..).zip(page.text.lines());
    let mut problems = Vec::new();
    let mut rows = 0_usize;
    let section = lines
        .skip_while(|(_, line)| *line != HEADING)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "));
    // The heading of the table and the line below it come first.
    for (number, line) in section.filter(|(_, line)| line.starts_with('|')).skip(2) {
        rows += 1;
        let problem = |what: String| Problem::in_line(Path::new(PAGE), number, what);
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, types, places, _] = cells[..] else {
            problems.push(problem("a row of owners has three cells".to_owned()));
            continue;
        };
        let places = folders(places);
        for place in &places {
            let is_there = |file: &TextFile| file.path.starts_with(place);
            if !files.iter().any(is_there) {
                problems.push(problem(format!("`{}` is not there", place.display())));
            }
        }
        for name in quoted(types) {
            let is_of_row = |file: &&TextFile| places.iter().any(|at| file.path.starts_with(at));
            let declares = |file: &TextFile| declares(&file.text, name);
            if !files.iter().filter(is_of_row).any(declares) {
                problems.push(problem(format!("no file of the row declares `{name}`")));
            }
        }
    }
    if rows == 0 {
        problems.push(Problem::in_file(
            Path::new(PAGE),
            format!("has no table below `{HEADING}`"),
        ));
    }
    problems
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Paths of the files of a cell: a word before them names the crate.
fn folders(cell: &str) -> Vec<PathBuf> {
    let mut source = "";
    let mut places = Vec::new();
    for (index, part) in cell.split('`').enumerate() {
        if index % 2 == 1 {
            places.push(Path::new("crates").join(source).join("src").join(part));
        } else {
            source = part
                .split_whitespace()
                .rfind(|word| CRATES.contains(word))
                .unwrap_or(source);
        }
    }
    places
}

/// Returns whether a source declares an item of this name.
fn declares(text: &str, name: &str) -> bool {
    let items = ["struct", "enum", "trait", "fn", "const"];
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        let is_item = words.any(|word| items.contains(&word));
        let declared = words.next().unwrap_or_default();
        is_item && declared.split(|letter: char| !is_of_name(letter)).next() == Some(name)
    })
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: &str) -> usize {
        let file = |path: &str, text: &str| TextFile {
            path: PathBuf::from(path),
            text: text.to_owned(),
        };
        let table = format!(
            "# A\n## Owners\n\ntext\n\n| a | b | c |\n|---|---|---|\n{row}\n\n## B\n| x |\n"
        );
        let linger = "pub(super) struct Linger<T> {\n}\nfn linger() {}\n";
        check(&[
            file(PAGE, &table),
            file("crates/core/src/linger.rs", linger),
            file("crates/wolff/src/topic/routes.rs", "pub struct Routes;\n"),
        ])
        .len()
    }

    #[test]
    fn a_row_that_is_true_is_fine() {
        assert_eq!(found("| a | `Linger` | core `linger.rs` |"), 0);
        assert_eq!(
            found("| a | `Linger`, `Routes` | core `linger.rs`; wolff `topic/` |"),
            0
        );
        assert_eq!(found("| a | | wolff `topic/routes.rs` |"), 0);
    }

    #[test]
    fn what_is_not_there_is_found() {
        assert_eq!(found("| a | `Ling` | core `linger.rs` |"), 1);
        assert_eq!(found("| a | `Routes` | core `linger.rs` |"), 1);
        assert_eq!(found("| a | | wolff `linger.rs` |"), 1);
        assert_eq!(found("| a | core `linger.rs` |"), 1);
        assert_eq!(found(""), 1);
    }
}
