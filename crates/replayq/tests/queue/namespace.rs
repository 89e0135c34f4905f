//! Tests that mount a file system: each runs once more, as a process in a mount namespace of its
//! own. There it may mount without being root, and nobody is disturbed or finds anything left
//! behind.

use std::path::Path;
use std::process::Command;

use crate::steps::skip;

/// Says to a test that it runs in a namespace of its own.
const INSIDE: &str = "REPLAYQ_TEST_IS_INSIDE";

/// How a namespace is made: by anybody where that is allowed, else by root.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// Returns whether the test of that name is in its own namespace and goes on. If not, it has been
/// run there, and went well.
pub(crate) fn is_inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let Some(way) = WAYS.into_iter().find(|way| is_allowed(way)) else {
        skip(name, "no file system can be mounted");
        return false;
    };
    let run = Command::new("unshare")
        .args(way)
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    false
}

fn is_allowed(way: &[&str]) -> bool {
    let room = tempfile::tempdir().unwrap();
    let mut probe = Command::new("unshare");
    probe
        .args(way)
        .args(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(room.path());
    probe.output().is_ok_and(|probe| probe.status.success())
}

/// A small file system in memory.
pub(crate) fn mount(size: &str, directory: &Path) {
    run_mount(
        &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"],
        directory,
    );
}

/// Changes the options of one that is mounted. With its source named: else the options that it has
/// are repeated, of which not everybody may set each.
pub(crate) fn remount(options: &str, directory: &Path) {
    run_mount(&["-o", &format!("remount,{options}"), "tmpfs"], directory);
}

fn run_mount(arguments: &[&str], directory: &Path) {
    let mounted = Command::new("mount")
        .args(arguments)
        .arg(directory)
        .output();
    let mounted = mounted.unwrap();
    assert!(mounted.status.success(), "{mounted:?}");
}
