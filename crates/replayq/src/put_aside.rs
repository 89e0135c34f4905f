//! Files that are kept for a person to look at, under a name that no queue uses.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, IoFailure};
use crate::vfs::{OpenMode, Vfs};

/// Files of one name with one suffix.
const MOST: u32 = 1000;

/// Why a file is kept.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Reason {
    /// Something in it is damaged.
    Damaged,
    /// It is not this queue's.
    Foreign,
    /// It is a segment of this queue under the name of another one.
    Misnamed,
}

impl Reason {
    const ALL: [Self; 3] = [Self::Damaged, Self::Foreign, Self::Misnamed];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Foreign => "foreign",
            Self::Misnamed => "misnamed",
        }
    }
}

/// Renames a file for that reason, and returns its new name. An earlier one with such a name stays.
pub(crate) fn put_aside(vfs: &dyn Vfs, path: &Path, reason: Reason) -> Result<PathBuf, IoFailure> {
    let target = free_name(vfs, path, reason).context("put aside", path)?;
    vfs.rename(path, &target).context("put aside", path)?;
    Ok(target)
}

/// A name for a file that is put aside for that reason, which no other one has.
pub(crate) fn free_name(vfs: &dyn Vfs, path: &Path, reason: Reason) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(reason.suffix());
    let mut target = PathBuf::from(&name);
    for number in 1..MOST {
        match vfs.open(&target, OpenMode::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(target),
            _ => {
                let mut next = name.clone();
                next.push(format!(".{number}"));
                target = PathBuf::from(next);
            }
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Returns whether a file was put aside, by its name.
pub(crate) fn is_put_aside(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match name.rsplit_once('.') {
        Some((before, number)) if is_number(number) => before,
        _ => name,
    };
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    Reason::ALL
        .iter()
        .any(|reason| suffix == Some(reason.suffix()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::SimVfs;

    #[test]
    fn what_was_put_aside_before_stays_and_is_known_by_its_name() {
        let vfs = SimVfs::new();
        let path = Path::new("/queue/control");
        for content in 0..3 {
            vfs.write_file(path, vec![content]);
            put_aside(&vfs, path, Reason::Damaged).unwrap();
        }
        let mut kept = vfs.files();
        kept.sort();
        let contents: Vec<_> = kept.iter().filter_map(|path| vfs.read_file(path)).collect();
        assert_eq!(contents, [[0], [1], [2]]);
        for path in kept {
            assert!(is_put_aside(path.file_name().unwrap().to_str().unwrap()));
        }
        for name in ["control", "control.1", "1-1.segment.bak", "damaged"] {
            assert!(!is_put_aside(name), "{name}");
        }
    }
}
