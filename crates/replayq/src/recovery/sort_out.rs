//! Sorting out, before segments are taken over, what is none of them: strangers' files, segments
//! under a wrong name, and files in which nothing is.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::damage::{Damage, Recovery};
use crate::error::{IoContext, IoFailure};
use crate::format::segment::key::{NEW_FILE_NAME, SegmentKey};
use crate::put_aside::{Reason, put_aside};
use crate::scan::{Candidate, Judgement, Scan};
use crate::vfs::Vfs;

/// The files with names of segments, sorted out.
#[derive(Default)]
pub(super) struct Sorted {
    /// The queue's segments, in order of their keys.
    pub(super) own: Vec<Candidate>,
    /// Files in which nothing of the queue is, and whether something must have been.
    pub(super) empty: Vec<(Candidate, bool)>,
}

/// Sorts the files of a directory out. Nothing that may be of use to anybody is removed.
pub(super) fn sort_out(
    vfs: &dyn Vfs,
    directory: &Path,
    scan: &mut Scan,
    recovery: &mut Recovery,
) -> Result<Sorted, IoFailure> {
    if scan
        .others
        .iter()
        .any(|entry| entry.is_file && entry.name == NEW_FILE_NAME)
    {
        // A copy that a crash has cut short: it only takes space.
        let _ = vfs.remove(&directory.join(NEW_FILE_NAME));
    }
    let mut sorted = Sorted::default();
    let mut misnamed = Vec::new();
    let candidates = std::mem::take(&mut scan.segments);
    let names: BTreeSet<SegmentKey> = if candidates.iter().all(|one| one.header().is_some()) {
        BTreeSet::new()
    } else {
        candidates.iter().map(|one| one.key).collect()
    };
    for candidate in candidates {
        let path = candidate.path(directory);
        match scan.judge(vfs, directory, &candidate)? {
            Judgement::Own => sorted.own.push(candidate),
            Judgement::Empty => sorted.empty.push((candidate, false)),
            Judgement::Ruined => sorted.empty.push((candidate, true)),
            Judgement::Foreign => {
                put_aside(vfs, &path, Reason::Foreign)?;
                recovery.note(Damage::Foreign {
                    file: candidate.key.file_name(),
                });
            }
            Judgement::Misnamed(_, items) => {
                recovery.note(Damage::Misnamed {
                    file: candidate.key.file_name(),
                    items,
                });
                misnamed.push(candidate);
            }
            Judgement::NoFile => {
                let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
                return Err(IoFailure::new("open", &path, cause));
            }
        }
    }
    name_rightly(vfs, directory, misnamed, names, &mut sorted)?;
    Ok(sorted)
}

/// Renames segments to the names in their headers, where no other file has these.
fn name_rightly(
    vfs: &dyn Vfs,
    directory: &Path,
    misnamed: Vec<Candidate>,
    mut names: BTreeSet<SegmentKey>,
    sorted: &mut Sorted,
) -> Result<(), IoFailure> {
    if misnamed.is_empty() {
        return Ok(());
    }
    let mut aside = Vec::new();
    for candidate in misnamed {
        let path = candidate.path(directory);
        names.remove(&candidate.key);
        let kept = put_aside(vfs, &path, Reason::Misnamed)?;
        aside.push((kept, candidate.renamed()));
    }
    for (kept, candidate) in aside {
        if names.insert(candidate.key) {
            let path = candidate.path(directory);
            vfs.rename(&kept, &path).context("rename", &kept)?;
            sorted.own.push(candidate);
        }
    }
    sorted.own.sort_unstable_by_key(|candidate| candidate.key);
    Ok(())
}
