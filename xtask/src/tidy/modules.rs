//! Modules point down: the blank-line paragraphs of `mod` lines are layers, highest first, and a
//! module uses its siblings of lower paragraphs only; never one of its own paragraph or above, nor
//! a name that its parent has from there. What the parent's file defines itself stands in no
//! paragraph and may be used: a trait above its implementations, or a type whose methods are spread
//! over several files.

use super::module_tree::{self, ModuleTree};
use super::package::Package;
use super::problem::Problem;
use super::source::Reference;
use crate::failure::Failure;
use std::path::Path;

/// Most imports between a name and what it names.
const MAX_IMPORT_STEPS: usize = 8;

/// Checks every library and binary of every package.
pub(crate) fn check(packages: &[Package], root: &Path) -> Result<Vec<Problem>, Failure> {
    let mut problems = Vec::new();
    for package in packages {
        for target in &package.sources {
            problems.extend(check_tree(&module_tree::read(target)?, root));
        }
    }
    Ok(problems)
}

fn check_tree(tree: &ModuleTree, root: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    for module in tree.values() {
        let file = module.file.strip_prefix(root).unwrap_or(&module.file);
        for Reference { from, target, line } in &module.source.references {
            if let Some(what) = verdict(tree, from, target, 0) {
                let what = format!("`crate::{}` {what}", target.join("::"));
                problems.push(Problem::in_line(file, *line, what));
            }
        }
    }
    problems
}

/// Returns what is wrong when the module `from` uses `target`; `None` when nothing is.
fn verdict(tree: &ModuleTree, from: &[String], target: &[String], steps: usize) -> Option<String> {
    let shared = from
        .iter()
        .zip(target)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    // Either something below the user, which is fine, or something above it, which only a
    // visibility names.
    let (Some(ours), Some(theirs)) = (from.get(shared), target.get(shared)) else {
        return None;
    };
    let parent_path = from.get(..shared)?;
    let parent = tree.get(parent_path)?;
    // A module inside its parent's file is a part of that file.
    let our_layer = parent.child(ours)?.layer;
    if let Some(sibling) = parent.child(theirs) {
        return if sibling.layer > our_layer {
            None
        } else if sibling.layer == our_layer {
            Some(format!(
                "is in the same paragraph as `{ours}`: move one of them, or what both need, further down"
            ))
        } else {
            Some(format!(
                "is above `{ours}`: a module uses only what is in lower paragraphs"
            ))
        };
    }
    if theirs == "*" {
        return Some("takes everything from above: name what is needed, where it is".to_owned());
    }
    match parent
        .source
        .imports
        .iter()
        .find(|import| import.name == *theirs)
    {
        Some(import) => {
            let real = import.target.as_ref()?;
            let rest = target.iter().skip(shared.saturating_add(1));
            let target: Vec<String> = real.iter().chain(rest).cloned().collect();
            if steps >= MAX_IMPORT_STEPS {
                return None;
            }
            verdict(tree, from, &target, steps.saturating_add(1))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let tree = module_tree::read(&directory.path().join("lib.rs")).unwrap();
        check_tree(&tree, directory.path())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_points_down_is_fine() {
        let found = problems(&[
            ("lib.rs", "mod high;\n\nmod low;\n\npub use low::Low;\n"),
            (
                "high.rs",
                "use crate::low::Low; use super::low; use crate::Low as L; use std::fmt;",
            ),
            ("low.rs", "pub struct Low;"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_use_of_a_higher_paragraph_is_found() {
        let found = problems(&[
            ("lib.rs", "mod high;\n\nmod low;\n"),
            ("high.rs", ""),
            ("low.rs", "\nuse crate::high::High;"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("low.rs:2: `crate::high::High` is above `low`"),
            "{found:?}"
        );
    }

    #[test]
    fn a_use_within_one_paragraph_is_found() {
        let found = problems(&[
            ("lib.rs", "mod one;\nmod two;\n"),
            ("one.rs", "fn f() { super::two::g() }"),
            ("two.rs", ""),
        ]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("is in the same paragraph as `one`"),
            "{found:?}"
        );
    }

    #[test]
    fn a_use_of_what_the_root_has_from_above_is_found() {
        let found = problems(&[
            (
                "lib.rs",
                "mod high;\n\nmod low;\n\npub use high::High;\npub struct Top;\n",
            ),
            ("high.rs", ""),
            ("low.rs", "use crate::High;\nuse crate::Top;\nuse crate::*;"),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("`crate::High` is above `low`"),
            "{found:?}"
        );
        assert!(
            found[1].contains("takes everything from above"),
            "{found:?}"
        );
    }

    #[test]
    fn folders_have_layers_of_their_own() {
        let found = problems(&[
            ("lib.rs", "mod folder;\n\nmod low;\n"),
            ("folder/mod.rs", "mod a;\n\nmod b;\n"),
            ("folder/a.rs", "use super::b; use crate::low;"),
            ("folder/b/mod.rs", "mod c;\n"),
            (
                "folder/b/c.rs",
                "use crate::low; use super::super::a; use crate::folder::a::X;",
            ),
            ("low.rs", "mod inner; use inner::X;"),
            ("low/inner.rs", "use crate::folder::a;"),
        ]);
        let lines: Vec<_> = found
            .iter()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            lines,
            ["folder/b/c.rs", "folder/b/c.rs", "low/inner.rs"],
            "{found:?}"
        );
    }

    #[test]
    fn a_module_written_inside_a_file_may_use_the_file() {
        let found = problems(&[
            ("lib.rs", "mod x;"),
            ("x.rs", "struct X; mod inner { use super::X; }"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }
}
