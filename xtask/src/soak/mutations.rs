//! `cargo xtask soak mutations`: each patch in `tests/mutations` breaks one rule of the sending
//! code, or of the queue where its name begins with `queue_`, in a copy of what is committed. A
//! test of `wolff-core`, or of the queue, has to fail with it.

use super::page;
use crate::failure::{Context as _, Failure};
use crate::program::{self, output_of};
use crate::workspace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A sentence for the list.
pub(super) const ABOUT: &str =
    "one rule of the sending code or the queue broken at a time, which a test must notice";

/// Where the patches are.
const PATCHES: &str = "tests/mutations";

/// Tests that look for mutations: the program, and the part of it.
type Tests = (&'static [&'static str], &'static [&'static str]);

/// Those for the sending code, in the order in which they are asked.
const TESTS: [Tests; 2] = [
    (
        &["-p", "wolff-core", "--test", "machine"],
        &["--skip", "simulation"],
    ),
    (&["-p", "wolff-core", "--lib"], &["search", "resume"]),
];

/// Those for the queue.
const QUEUE_TESTS: [Tests; 2] = [
    (
        &["-p", "replayq-interleavings", "--test", "threads"],
        &[
            "three_threads",
            "answered_tag",
            "sync_fails",
            "tagged_lease",
        ],
    ),
    (
        &[
            "-p",
            "replayq",
            "--features",
            "simulation",
            "--test",
            "queue",
        ],
        &["slots::", "meeting::", "taken_back::"],
    ),
];

pub(super) fn run(is_dry: bool) -> Result<(), Failure> {
    let root = workspace::root();
    let folder = workspace::target_directory()?.join("mutations");
    let copy = folder.join("copy");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(&folder).context("creating the folder of the copy")?;
    program::run(
        Command::new("git")
            .args(["clone", "--quiet", "--shared"])
            .args([&root, &copy]),
    )?;
    let patches = patches(&root)?;
    let mut survivors = Vec::new();
    for patch in &patches {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy();
        program::run(git(&copy).args(["reset", "--quiet", "--hard"]))?;
        program::run(git(&copy).arg("apply").arg(patch))?;
        let tests = if name.starts_with("queue_") {
            &QUEUE_TESTS
        } else {
            &TESTS
        };
        let is_caught = tests
            .iter()
            .any(|(program, tests)| fails(&copy, &folder, program, tests));
        println!("{name}: {}", if is_caught { "caught" } else { "SURVIVED" });
        if !is_caught {
            survivors.push(name.into_owned());
        }
    }
    let line = format!(
        "| {} | `cargo xtask soak mutations` | {} mutations | caught {} | {} |",
        page::today(),
        patches.len(),
        patches.len() - survivors.len(),
        if survivors.is_empty() {
            "none".to_owned()
        } else {
            format!("not caught: {}", survivors.join(", "))
        },
    );
    println!("{line}");
    if !is_dry {
        page::append(&line)?;
    }
    if survivors.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "no test fails with {}",
        survivors.join(", ")
    )))
}

fn patches(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(root.join(PATCHES)).context("reading the patches")?;
    let mut patches: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "patch"))
        .collect();
    patches.sort();
    Ok(patches)
}

fn git(copy: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(copy);
    command
}

/// Returns whether a test fails in the copy. A patch that does not compile is no mutation, and
/// counts as not caught.
fn fails(copy: &Path, folder: &Path, program: &[&str], tests: &[&str]) -> bool {
    let cargo = || {
        let mut command = workspace::cargo();
        command
            .current_dir(copy)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .args(["test", "--quiet"])
            .args(program);
        command
    };
    output_of(cargo().arg("--no-run")).is_ok() && output_of(cargo().arg("--").args(tests)).is_err()
}
