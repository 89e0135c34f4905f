//! A real process, killed at every system call that touches files, and at random under load:
//! whatever it had answered is there.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::program::cases;
use crate::steps::{listen, program, steps};

/// What a queue does to its files, each by one of these system calls. If a program that is killed
/// in all that it does lacks one of them, it does not do enough.
const CALLS: [&[&str]; 12] = [
    &["mkdir", "mkdirat"],
    &["openat"],
    &["flock"],
    &["write"],
    &["pwrite64"],
    &["pwritev", "pwritev2"],
    &["pread64"],
    &["fdatasync"],
    &["fsync"],
    &["rename", "renameat", "renameat2"],
    &["unlink", "unlinkat"],
    &["close"],
];

/// The example under strace. Without it there is no such test, which must not look like one that
/// went well.
fn traced(arguments: &[&str], trace: &Path, directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq"])
        .args(arguments)
        .arg("-o")
        .arg(trace);
    command.arg(program()).arg(directory).args(words);
    command
}

fn trace_of(arguments: &[&str], directory: &Path, words: &[&str], is_synced: bool) -> String {
    let room = tempfile::tempdir().unwrap();
    let trace = room.path().join("trace");
    let mut command = traced(arguments, &trace, directory, words);
    if is_synced {
        command.env("STEPS_FSYNC", "1");
    }
    let output = command.output().unwrap_or_else(|error| {
        panic!("this test needs strace: install it with the system's packages ({error})")
    });
    assert!(output.status.success(), "{output:?}");
    std::fs::read_to_string(trace).unwrap()
}

/// The name of the system call in a line of a trace: `4711  openat(AT_FDCWD, …`.
fn call_in(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(is_name).then_some(name)
}

/// The kinds of system calls that the program makes once it has to do with the directory, and how
/// many of each come before.
fn calls_of(rounds: &str, is_synced: bool) -> BTreeMap<String, usize> {
    let room = tempfile::tempdir().unwrap();
    let directory = room.path().join("queue");
    let trace = trace_of(&[], &directory, &["run", rounds], is_synced);
    let is_of_directory = |line: &str| line.contains(directory.to_str().unwrap());
    let is_start = |line: &str| call_in(line) == Some("execve");
    let mut calls: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut has_begun = false;
    for line in trace.lines() {
        has_begun |= is_of_directory(line) && !is_start(line);
        if let Some(name) = call_in(line) {
            let (before, all) = calls.entry(name.to_owned()).or_default();
            *before += usize::from(!has_begun);
            *all += 1;
        }
    }
    calls.retain(|_, (before, all)| before < all);
    let calls: BTreeMap<_, _> = calls
        .into_iter()
        .map(|(name, (before, _))| (name, before))
        .collect();
    for names in CALLS {
        assert!(
            names.iter().any(|name| calls.contains_key(*name)),
            "no {names:?} in {calls:?}"
        );
    }
    calls
}

/// At every system call from where the directory is first touched, of whatever kind. The kill comes
/// before the call does anything, and so behind the one before.
fn is_killed_at_every_call(is_synced: bool) {
    let rounds = if std::env::var_os("REPLAYQ_TEST_CASES").is_some() {
        "12"
    } else {
        "6"
    };
    let mut kills = 0;
    for (call, before) in calls_of(rounds, is_synced) {
        for number in before + 1.. {
            let room = tempfile::tempdir().unwrap();
            let directory = room.path().join("queue");
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let only = format!("trace={call}");
            let nowhere = Path::new("/dev/null");
            let mut command = traced(
                &["-e", &only, "-e", &inject],
                nowhere,
                &directory,
                &["run", rounds],
            );
            if is_synced {
                command.env("STEPS_FSYNC", "1");
            }
            let (said, status) = listen(&mut command, None);
            said.check(&directory);
            if status.success() {
                assert_eq!(said.lines.last().map(String::as_str), Some("closed"));
                break;
            }
            assert!(
                status.signal() == Some(9) || status.code() == Some(137),
                "{call} {number}: {status:?}"
            );
            kills += 1;
        }
    }
    println!("killed at {kills} system calls");
    assert!(kills > 200, "only {kills} system calls");
}

#[test]
fn a_process_killed_at_any_system_call_keeps_what_it_answered() {
    is_killed_at_every_call(false);
}

#[test]
fn a_process_with_syncs_killed_at_any_system_call_keeps_what_it_answered() {
    is_killed_at_every_call(true);
}

/// Each of these system calls fails once with EIO, one after the other, in the real file system.
fn meets_an_error_at_every_call(is_synced: bool) {
    const FAILING: [&str; 8] = [
        "pwrite64",
        "pwritev",
        "pread64",
        "fdatasync",
        "fsync",
        "ftruncate",
        "rename",
        "unlink",
    ];
    let (mut errors, mut went_on) = (0, 0);
    for (call, before) in calls_of("6", is_synced) {
        if !FAILING.contains(&call.as_str()) {
            continue;
        }
        for number in before + 1.. {
            let room = tempfile::tempdir().unwrap();
            let (directory, trace) = (room.path().join("queue"), room.path().join("trace"));
            let inject = format!("inject={call}:error=EIO:when={number}");
            let only = format!("trace={call}");
            let arguments = ["-e", &only, "-e", &inject];
            let mut command = traced(&arguments, &trace, &directory, &["run", "6"]);
            if is_synced {
                command.env("STEPS_FSYNC", "1");
            }
            let (said, status) = listen(&mut command, None);
            assert!(
                status.code().is_some_and(|code| code < 2),
                "{call} {number}"
            );
            let has_failed = std::fs::read_to_string(trace)
                .unwrap()
                .contains("(INJECTED)");
            if directory.exists() {
                said.check(&directory);
            }
            if !has_failed {
                assert!(status.success(), "{call} {number}: {status:?}");
                break;
            }
            errors += 1;
            went_on += u32::from(call == "fdatasync" && status.success());
        }
    }
    println!("{errors} system calls failed");
    assert!(errors > 50, "only {errors} system calls failed");
    assert!(went_on > 0, "a sync of a segment that failed was mended");
}

#[test]
fn a_process_that_meets_an_error_at_any_system_call_keeps_what_it_answered() {
    meets_an_error_at_every_call(false);
}

#[test]
fn a_process_with_syncs_that_meets_an_error_at_any_system_call_keeps_what_it_answered() {
    meets_an_error_at_every_call(true);
}

#[test]
fn a_process_killed_at_random_under_load_keeps_what_it_answered() {
    let mut dice = 12_345_usize;
    for _ in 0..cases(500) {
        dice = dice.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue");
        let (said, _) = listen(&mut steps(&path, &["load", "400"]), Some(1 + dice % 300));
        said.check(&path);
    }
}

#[test]
fn a_process_that_nobody_kills_comes_to_its_end_with_an_empty_queue() {
    let directory = tempfile::tempdir().unwrap();
    let (said, status) = listen(&mut steps(directory.path(), &["load", "100"]), None);
    assert!(status.success(), "{status:?}");
    said.check(directory.path());
    assert_eq!(said.counts(), (200, 200));
}

/// Whatever is synced in a new directory is lost in a power loss with the directory's name.
#[test]
fn the_names_of_new_directories_are_synced_before_anything_is_in_them() {
    let room = tempfile::tempdir().unwrap();
    let above = room.path().join("above");
    let arguments = ["-y", "-e", "trace=mkdir,mkdirat,fsync,flock"];
    let trace = trace_of(&arguments, &above.join("queue"), &["run", "1"], false);
    let line = |call: &str, what: String| {
        let is_it =
            |line: &str| line.contains(call) && line.contains(&what) && line.ends_with("= 0");
        let at = trace.lines().position(is_it);
        at.unwrap_or_else(|| panic!("{call} of {what} in {trace}"))
    };
    let made = |path: &Path| line("mkdir", format!("\"{}\"", path.display()));
    let synced = |path: &Path| line("fsync(", format!("<{}>", path.display()));
    let locked = line("flock(", format!("<{}>", above.join("queue").display()));
    assert!(made(&above) < synced(room.path()) && synced(room.path()) < locked);
    assert!(made(&above.join("queue")) < synced(&above) && synced(&above) < locked);
}
