//! A real process, killed at every system call that touches files, and at random under load: whatever it had answered is there.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::program::cases;
use crate::steps::{listen, skip, steps};

/// The system calls by which a queue changes its files, and those by which it gets at them.
const CALLS: [&str; 10] = [
    "pwrite64",
    "pwritev",
    "fdatasync",
    "fsync",
    "rename",
    "unlink",
    "ftruncate",
    "openat",
    "flock",
    "pread64",
];

fn has_strace() -> bool {
    let probe = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output();
    probe.is_ok_and(|output| output.status.success())
}

fn is_killed_at_every_call(name: &str, is_synced: bool) {
    if !has_strace() {
        return skip(name, "strace is not there, or may not trace");
    }
    let rounds = if std::env::var_os("REPLAYQ_TEST_CASES").is_some() {
        "12"
    } else {
        "5"
    };
    for call in CALLS {
        for number in 1.. {
            let directory = tempfile::tempdir().unwrap();
            let mut command = Command::new("strace");
            command
                .args([
                    "-f",
                    "-qq",
                    "-o",
                    "/dev/null",
                    "-e",
                    &format!("trace={call}"),
                    "-e",
                ])
                .arg(format!("inject={call}:signal=KILL:when={number}"))
                .arg(crate::steps::program())
                .arg(directory.path().join("queue"))
                .args(["run", rounds]);
            if is_synced {
                command.env("STEPS_FSYNC", "1");
            }
            let (said, status) = listen(&mut command, None);
            said.check(&directory.path().join("queue"));
            if status.success() {
                assert_eq!(said.lines.last().map(String::as_str), Some("closed"));
                break;
            }
            assert!(
                status.signal() == Some(9) || status.code() == Some(137),
                "{call} {number}: {status:?}"
            );
        }
    }
}

#[test]
fn a_process_killed_at_any_system_call_keeps_what_it_answered() {
    is_killed_at_every_call(
        "a_process_killed_at_any_system_call_keeps_what_it_answered",
        false,
    );
}

#[test]
fn a_process_with_syncs_killed_at_any_system_call_keeps_what_it_answered() {
    is_killed_at_every_call(
        "a_process_with_syncs_killed_at_any_system_call_keeps_what_it_answered",
        true,
    );
}

#[test]
fn a_process_killed_at_random_under_load_keeps_what_it_answered() {
    let mut dice = 12_345_usize;
    for _ in 0..cases(25) {
        dice = dice.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue");
        let (said, _) = listen(&mut steps(&path, &["load", "400"]), Some(1 + dice % 900));
        said.check(&path);
    }
}

/// Whatever is synced in a new directory is lost in a power loss with the directory's name.
#[test]
fn the_names_of_new_directories_are_synced_before_anything_is_in_them() {
    let name = "the_names_of_new_directories_are_synced_before_anything_is_in_them";
    if !has_strace() {
        return skip(name, "strace is not there, or may not trace");
    }
    let room = tempfile::tempdir().unwrap();
    let (above, trace) = (room.path().join("above"), room.path().join("trace"));
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", "trace=mkdir,fsync,flock", "-o"])
        .arg(&trace)
        .arg(crate::steps::program())
        .arg(above.join("queue"))
        .args(["run", "1"])
        .output()
        .unwrap();
    assert!(traced.status.success(), "{traced:?}");
    let trace = std::fs::read_to_string(trace).unwrap();
    let line = |call: &str, what: String| {
        let is_it =
            |line: &str| line.contains(call) && line.contains(&what) && line.ends_with("= 0");
        let at = trace.lines().position(is_it);
        at.unwrap_or_else(|| panic!("{call} of {what} in {trace}"))
    };
    let made = |path: &std::path::Path| line("mkdir(", format!("\"{}\"", path.display()));
    let synced = |path: &std::path::Path| line("fsync(", format!("<{}>", path.display()));
    let locked = line("flock(", "LOCK".to_owned());
    assert!(made(&above) < synced(room.path()) && synced(room.path()) < locked);
    assert!(made(&above.join("queue")) < synced(&above) && synced(&above) < locked);
}
