//! The rules of the workspace that the compiler does not know, each checked by a function over
//! plain data, so that each is shown to fail by its own tests.

mod comments;
mod crates;
mod fields;
mod hosts;
mod length;
mod manifests;
mod map;
mod modules;
mod owners;
mod packaging;
mod skipped;

mod module_tree;

mod source;

mod lexer;

mod package;
mod problem;
mod text_file;

use crate::failure::Failure;
use crate::workspace;
use problem::Problem;

/// Checks everything and prints what it found; any finding is a [`Failure`].
pub(crate) fn run() -> Result<(), Failure> {
    let root = workspace::root();
    let packages = package::packages(&workspace::metadata()?)?;
    let files = text_file::all(&root)?;

    let checks: [(&str, Vec<Problem>); 11] = [
        ("layers of crates", crates::check(&packages)),
        ("layers of modules", modules::check(&packages, &root)?),
        ("manifests", manifests::check(&packages)),
        ("packages", packaging::check(&packages, &root)),
        ("maps of folders", map::check(&root)?),
        ("registry hosts", hosts::check(&files)),
        ("tests that never run", skipped::check(&files)),
        ("comments and derives", comments::check(&files)),
        ("owners of fields", fields::check(&files)),
        ("lengths of files", length::check(&files)),
        ("table of owners", owners::check(&files)),
    ];
    let mut found = 0_usize;
    for (name, problems) in checks {
        eprintln!(
            "{} {name}",
            if problems.is_empty() {
                "ok    "
            } else {
                "FAILED"
            }
        );
        for problem in &problems {
            eprintln!("  {problem}");
        }
        found = found.saturating_add(problems.len());
    }
    match found {
        0 => Ok(()),
        1 => Err(Failure::new("tidy: 1 problem")),
        _ => Err(Failure::new(format!("tidy: {found} problems"))),
    }
}
