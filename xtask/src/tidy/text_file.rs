//! The files of the project as text.

use crate::failure::{Context as _, Failure};
use crate::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the project: where it is and what it says.
pub(crate) struct TextFile {
    /// Where it is, from the workspace's root.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) text: String,
}

/// Every file that is, or may be, committed and is text.
pub(crate) fn all(root: &Path) -> Result<Vec<TextFile>, Failure> {
    let mut git = Command::new("git");
    git.current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listing = program::output_of(&mut git)?;
    let mut files = Vec::new();
    for path in listing.split_terminator('\0').map(PathBuf::from) {
        let whole = root.join(&path);
        // A file may be deleted and not yet committed so, or be a link to a folder.
        if !whole.is_file() {
            continue;
        }
        let bytes = fs::read(&whole).context(path.display())?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(TextFile { path, text });
        }
    }
    Ok(files)
}
