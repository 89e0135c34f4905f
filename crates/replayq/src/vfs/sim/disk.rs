//! The simulated disk: what is seen now, what is durable, and the changes between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::field;
use crate::vfs::DirectoryEntry;

/// The number of a file, whatever its name.
pub(super) type Inode = u64;

/// A write, or a change of a file's length, that is not durable yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingWrite {
    /// The file's name at present; none if it was removed.
    pub path: Option<PathBuf>,
    /// Where it was written.
    pub position: u64,
    /// The bytes that were written; `None`: the length was set to the position.
    pub bytes: Option<usize>,
}

/// The effect of a power loss on a pending write.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is as if it had not been made.
    Lost,
    /// It is there.
    Kept,
    /// Only the bytes from the first to before the second offset are there.
    Part(usize, usize),
}

#[derive(Clone, Debug)]
enum Edit {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, Inode),
    Move(PathBuf, PathBuf),
    Drop(PathBuf),
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, with numbers in their order over all files.
    pending: Vec<(u64, Edit)>,
}

/// The simulated disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<Inode, Content>,
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    pending_names: Vec<NameChange>,
    directories: BTreeSet<PathBuf>,
    next_inode: Inode,
    next_edit: u64,
    /// Stretches that cannot be read: from the first byte to before the second.
    spoiled: Vec<(Inode, u64, u64)>,
}

fn apply(content: &mut Vec<u8>, edit: &Edit) {
    match edit {
        Edit::Write(position, bytes) => {
            let from = field::narrow(*position);
            let to = from.saturating_add(bytes.len());
            if content.len() < to {
                content.resize(to, 0);
            }
            if let Some(place) = content.get_mut(from..to) {
                place.copy_from_slice(bytes);
            }
        }
        Edit::SetLength(length) => content.resize(field::narrow(*length), 0),
    }
}

fn rename(names: &mut BTreeMap<PathBuf, Inode>, change: &NameChange) {
    match change {
        NameChange::Add(path, inode) => _ = names.insert(path.clone(), *inode),
        NameChange::Move(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        NameChange::Drop(path) => _ = names.remove(path),
    }
}

impl Disk {
    pub(super) fn create_directory(&mut self, path: &Path) {
        self.directories.insert(path.to_path_buf());
    }

    pub(super) fn has_directory(&self, path: &Path) -> bool {
        self.directories.contains(path)
    }

    pub(super) fn remove_directory(&mut self, path: &Path) {
        self.directories.remove(path);
    }

    pub(super) fn find(&self, path: &Path) -> Option<Inode> {
        self.names.get(path).copied()
    }

    pub(super) fn has_name(&self, inode: Inode) -> bool {
        self.names.values().any(|named| *named == inode)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.names.keys()
    }

    pub(super) fn list(&self, directory: &Path) -> Vec<DirectoryEntry> {
        let own = self
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(directory));
        // In no order that anybody would wish for.
        own.rev()
            .filter_map(|(path, inode)| {
                let name = path.file_name()?.to_str()?.to_owned();
                Some(DirectoryEntry {
                    name,
                    bytes: self.length(*inode),
                    is_file: true,
                })
            })
            .collect()
    }

    pub(super) fn create(&mut self, path: &Path) -> Inode {
        let inode = self.next_inode;
        self.next_inode = inode.saturating_add(1);
        self.files.insert(inode, Content::default());
        self.rename_by(NameChange::Add(path.to_path_buf(), inode));
        inode
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.rename_by(NameChange::Move(from.to_path_buf(), to.to_path_buf()));
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.rename_by(NameChange::Drop(path.to_path_buf()));
    }

    fn rename_by(&mut self, change: NameChange) {
        rename(&mut self.names, &change);
        self.pending_names.push(change);
    }

    pub(super) fn length(&self, inode: Inode) -> u64 {
        self.files
            .get(&inode)
            .map_or(0, |content| field::wide(content.seen.len()))
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.length(*inode)).sum()
    }

    pub(super) fn spoil(&mut self, path: &Path, position: u64, bytes: u64) {
        if let Some(inode) = self.find(path) {
            let end = position.saturating_add(bytes);
            self.spoiled.push((inode, position, end));
        }
    }

    /// Returns whether any of those bytes cannot be read.
    pub(super) fn is_spoiled(&self, inode: Inode, position: u64, bytes: usize) -> bool {
        let end = position.saturating_add(field::wide(bytes));
        self.spoiled
            .iter()
            .any(|&(spoiled, from, to)| spoiled == inode && position < to && from < end)
    }

    pub(super) fn read(&self, inode: Inode, position: u64, bytes: usize) -> &[u8] {
        let Some(content) = self.files.get(&inode) else {
            return &[];
        };
        let from = field::narrow(position).min(content.seen.len());
        let to = from.saturating_add(bytes).min(content.seen.len());
        content.seen.get(from..to).unwrap_or(&[])
    }

    pub(super) fn write(&mut self, inode: Inode, position: u64, bytes: Vec<u8>) {
        let end = position.saturating_add(field::wide(bytes.len()));
        self.spoiled
            .retain(|&(spoiled, from, to)| spoiled != inode || from < position || end < to);
        self.edit(inode, Edit::Write(position, bytes));
    }

    pub(super) fn set_length(&mut self, inode: Inode, length: u64) {
        self.edit(inode, Edit::SetLength(length));
    }

    fn edit(&mut self, inode: Inode, edit: Edit) {
        let number = self.next_edit;
        self.next_edit = number.saturating_add(1);
        if let Some(content) = self.files.get_mut(&inode) {
            apply(&mut content.seen, &edit);
            content.pending.push((number, edit));
        }
    }

    pub(super) fn sync(&mut self, inode: Inode) {
        if let Some(content) = self.files.get_mut(&inode) {
            content.durable.clone_from(&content.seen);
            content.pending.clear();
        }
    }

    /// A sync that fails: the system forgets that there was something to write, and what it was if
    /// it drops it.
    pub(super) fn fail_sync(&mut self, inode: Inode, drops: bool) {
        if let Some(content) = self.files.get_mut(&inode) {
            content.pending.clear();
            if drops {
                content.seen.clone_from(&content.durable);
            }
        }
    }

    pub(super) fn sync_names(&mut self) {
        self.durable_names.clone_from(&self.names);
        self.pending_names.clear();
    }

    pub(super) fn content(&self, path: &Path) -> Option<&[u8]> {
        self.find(path)
            .and_then(|inode| self.files.get(&inode))
            .map(|content| content.seen.as_slice())
    }

    /// Puts a file there from outside, durable at once.
    pub(super) fn put(&mut self, path: &Path, content: Vec<u8>) {
        self.delete(path);
        let inode = self.create(path);
        self.pending_names.pop();
        self.durable_names.insert(path.to_path_buf(), inode);
        self.write(inode, 0, content);
        self.sync(inode);
    }

    /// Takes a file away from outside, for good at once.
    pub(super) fn delete(&mut self, path: &Path) {
        self.names.remove(path);
        self.durable_names.remove(path);
    }

    pub(super) fn pending_names(&self) -> usize {
        self.pending_names.len()
    }

    pub(super) fn pending_writes(&self) -> Vec<PendingWrite> {
        let mut all: Vec<(u64, PendingWrite)> = Vec::new();
        for (inode, content) in &self.files {
            let path = self
                .names
                .iter()
                .find(|(_, named)| *named == inode)
                .map(|(path, _)| path.clone());
            for (number, edit) in &content.pending {
                let path = path.clone();
                let (position, bytes) = match edit {
                    Edit::Write(position, bytes) => (*position, Some(bytes.len())),
                    Edit::SetLength(length) => (*length, None),
                };
                all.push((
                    *number,
                    PendingWrite {
                        path,
                        position,
                        bytes,
                    },
                ));
            }
        }
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, write)| write).collect()
    }

    /// The disk after a power loss.
    pub(super) fn after_power_loss(
        &self,
        names: usize,
        mut fate: impl FnMut(usize, &PendingWrite) -> Fate,
    ) -> Self {
        let mut numbers: Vec<u64> = self
            .files
            .values()
            .flat_map(|content| content.pending.iter().map(|(number, _)| *number))
            .collect();
        numbers.sort_unstable();
        let fates: BTreeMap<u64, Fate> = numbers
            .into_iter()
            .zip(self.pending_writes())
            .enumerate()
            .map(|(index, (number, write))| (number, fate(index, &write)))
            .collect();
        let mut after = self.clone();
        for content in after.files.values_mut() {
            let mut durable = std::mem::take(&mut content.durable);
            for (number, edit) in &content.pending {
                match (fates.get(number), edit) {
                    (Some(Fate::Kept), edit) => apply(&mut durable, edit),
                    (Some(Fate::Part(from, to)), Edit::Write(position, bytes)) => {
                        let to = (*to).min(bytes.len());
                        if let Some(part) = bytes.get(*from..to) {
                            let position = position.saturating_add(field::wide(*from));
                            apply(&mut durable, &Edit::Write(position, part.to_vec()));
                        }
                    }
                    _ => {}
                }
            }
            content.seen = durable;
        }
        after.names.clone_from(&self.durable_names);
        for change in self.pending_names.iter().take(names) {
            rename(&mut after.names, change);
        }
        after.settle()
    }

    /// The disk after the process ended: all that was seen is there, none of it in danger.
    pub(super) fn after_kill(&self) -> Self {
        // What was not durable is still not: the machine may lose power later.
        let mut after = self.clone();
        after.drop_unnamed();
        after
    }

    fn settle(mut self) -> Self {
        for content in self.files.values_mut() {
            content.durable.clone_from(&content.seen);
            content.pending.clear();
        }
        self.sync_names();
        self.drop_unnamed();
        self
    }

    fn drop_unnamed(&mut self) {
        let named: BTreeSet<Inode> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .collect();
        self.files.retain(|inode, _| named.contains(inode));
    }
}
