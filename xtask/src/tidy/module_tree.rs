//! All modules of one crate target, read from its root file downwards.

use super::source::{Child, ModulePath, Source};
use crate::failure::{Context as _, Failure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module and the file it is written in.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its file.
    pub(crate) file: PathBuf,
    /// Declarations and references of the file.
    pub(crate) source: Source,
}

impl Module {
    /// The module of this name that it declares.
    pub(crate) fn child(&self, name: &str) -> Option<&Child> {
        self.source.children.iter().find(|child| child.name == name)
    }
}

/// The modules by their paths, without those that are compiled for tests only.
pub(crate) type ModuleTree = BTreeMap<ModulePath, Module>;

/// Reads the tree whose root is this file.
pub(crate) fn read(root_file: &Path) -> Result<ModuleTree, Failure> {
    let mut tree = ModuleTree::new();
    read_module(root_file, Vec::new(), &mut tree)?;
    Ok(tree)
}

fn read_module(file: &Path, path: ModulePath, tree: &mut ModuleTree) -> Result<(), Failure> {
    let text = fs::read_to_string(file).context(file.display())?;
    let source = Source::parse(&text, &path);
    for child in source.children.iter().filter(|child| !child.is_test) {
        let child_file = file_of(&child.name, file, path.is_empty())?;
        let child_path = path.iter().chain([&child.name]).cloned().collect();
        read_module(&child_file, child_path, tree)?;
    }
    let module = Module {
        file: file.to_path_buf(),
        source,
    };
    tree.insert(path, module);
    Ok(())
}

/// Where the child's file is: beside a root or `mod.rs`, otherwise in the folder named after its
/// parent.
fn file_of(child: &str, parent_file: &Path, is_root: bool) -> Result<PathBuf, Failure> {
    let is_folder_file = is_root || parent_file.file_name().is_some_and(|name| name == "mod.rs");
    let folder = match parent_file.parent() {
        Some(folder) if is_folder_file => folder.to_path_buf(),
        _ => parent_file.with_extension(""),
    };
    let candidates = [
        folder.join(format!("{child}.rs")),
        folder.join(child).join("mod.rs"),
    ];
    let found = candidates.into_iter().find(|file| file.exists());
    found.ok_or_else(|| {
        Failure::new(format!(
            "{}: the file of `mod {child};` is missing",
            parent_file.display()
        ))
    })
}
