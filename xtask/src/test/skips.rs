//! The file in which tests say that they skipped themselves, and why.

use crate::failure::{Context as _, Failure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An empty file to begin with; see the convention in the module above.
#[derive(Debug)]
pub(crate) struct Skips {
    file: PathBuf,
}

impl Skips {
    /// A fresh file in this folder.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(directory).context(directory.display())?;
        let file = directory.join("skipped-tests");
        fs::write(&file, "").context(file.display())?;
        Ok(Self { file })
    }

    /// Path for WOLFF_SKIPS.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Why each test that says so was skipped.
    pub(crate) fn read(&self) -> Result<BTreeMap<String, String>, Failure> {
        let text = fs::read_to_string(&self.file).context(self.file.display())?;
        Ok(parse(&text))
    }
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let split = |line: &str| {
        let (name, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        (name.trim().to_owned(), reason.trim().to_owned())
    };
    lines.map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_counts_once_however_often_it_says_so() {
        let skips = parse("a::b: no Kafka\nc: no kcat: not installed\n\na::b: no Kafka\nd\n");
        let found: Vec<_> = skips
            .iter()
            .map(|(name, reason)| (name.as_str(), reason.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("a::b", "no Kafka"),
                ("c", "no kcat: not installed"),
                ("d", "no reason given")
            ]
        );
    }
}
