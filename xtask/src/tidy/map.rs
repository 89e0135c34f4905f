//! The maps in README.md and ARCHITECTURE.md name every folder that holds code, and none that is
//! not there.

use super::problem::Problem;
use crate::failure::{Context as _, Failure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The pages that have a map.
const PAGES: [&str; 2] = ["README.md", "ARCHITECTURE.md"];

/// Folders that are one entry of the map themselves.
const SINGLE: [&str; 3] = ["xtask", "benches", "fuzz"];

/// Folders whose folders with a `Cargo.toml` are the entries.
const COLLECTIONS: [&str; 2] = ["crates", "tests"];

/// Compares the folders with both pages.
pub(crate) fn check(root: &Path) -> Result<Vec<Problem>, Failure> {
    let folders = folders(root)?;
    let mut problems = Vec::new();
    for page in PAGES {
        match fs::read_to_string(root.join(page)) {
            Ok(text) => problems.extend(check_page(Path::new(page), &text, &folders)),
            Err(error) => problems.push(Problem::in_file(Path::new(page), error.to_string())),
        }
    }
    Ok(problems)
}

fn folders(root: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut folders: BTreeSet<String> = SINGLE
        .into_iter()
        .filter(|name| root.join(name).is_dir())
        .map(str::to_owned)
        .collect();
    for collection in COLLECTIONS {
        let directory = root.join(collection);
        if !directory.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&directory).context(collection)? {
            let entry = entry.context(collection)?;
            if entry.path().join("Cargo.toml").is_file() {
                folders.insert(format!(
                    "{collection}/{}",
                    entry.file_name().to_string_lossy()
                ));
            }
        }
    }
    Ok(folders)
}

fn check_page(page: &Path, text: &str, folders: &BTreeSet<String>) -> Vec<Problem> {
    let named = named_folders(text);
    let missing = folders
        .difference(&named)
        .map(|folder| format!("does not name the folder `{folder}`"));
    let gone = named
        .difference(folders)
        .filter(|name| !SINGLE.contains(&name.as_str()));
    let gone = gone.map(|folder| format!("names `{folder}`, which is not there"));
    missing
        .chain(gone)
        .map(|what| Problem::in_file(page, what))
        .collect()
}

/// Everything in the text that reads like one of the folders.
fn named_folders(text: &str) -> BTreeSet<String> {
    let is_part_of_path =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '/' | '_' | '-' | '.');
    let mut named = BTreeSet::new();
    for path in text.split(|letter| !is_part_of_path(letter)) {
        let mut parts = path.trim_start_matches("./").split('/');
        let (first, second) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let second = second.trim_end_matches('.');
        if SINGLE.contains(&first.trim_end_matches('.')) {
            named.insert(first.trim_end_matches('.').to_owned());
        } else if COLLECTIONS.contains(&first) && !second.is_empty() {
            named.insert(format!("{first}/{second}"));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, folders: &[&str]) -> Vec<String> {
        let folders = folders.iter().map(|folder| (*folder).to_owned()).collect();
        check_page(Path::new("README.md"), text, &folders)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_map_that_equals_the_folders_is_fine() {
        let text = "`crates/codec` has messages (see crates/codec/README.md), [xtask](xtask/), tests/kafka.\n\
                    `crates/*`, `crates/{a,b}` and crates/codec/tests/golden are no entries.";
        assert_eq!(
            found(text, &["crates/codec", "xtask", "tests/kafka"]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_folder_that_is_not_named_is_found() {
        assert_eq!(
            found("crates/codec", &["crates/codec", "crates/new"]),
            ["README.md: does not name the folder `crates/new`"]
        );
        assert_eq!(
            found("the xtasks", &["xtask"]),
            ["README.md: does not name the folder `xtask`"]
        );
    }

    #[test]
    fn a_name_without_a_folder_is_found() {
        assert_eq!(
            found("`crates/gone`", &[]),
            ["README.md: names `crates/gone`, which is not there"]
        );
    }

    #[test]
    fn only_folders_with_a_manifest_count() {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["crates/a", "crates/empty", "tests/end", "fuzz", "docs"] {
            fs::create_dir_all(directory.path().join(folder)).unwrap();
        }
        for folder in ["crates/a", "tests/end"] {
            fs::write(directory.path().join(folder).join("Cargo.toml"), "").unwrap();
        }
        let found: Vec<_> = folders(directory.path()).unwrap().into_iter().collect();
        assert_eq!(found, ["crates/a", "fuzz", "tests/end"]);
    }
}
