//! Records lost to damage, or with their directory: counted, named, and an exit code of their own.

use std::fs::{self};
use std::io::Write;

use super::{NOBODY, assert_sum, produce};
use crate::support::{Running, Signal, directory, numbered, wait_for_accepted};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_directory_that_vanishes_while_it_is_used_is_never_a_success() {
    let room = directory();
    let base = room.path().join("q");
    let log = room.path().join("log");
    let mut command = produce(NOBODY, Some(&base), "40");
    let mut running = Running::start(command.arg("--accepted-log").arg(&log));
    let mut input = running.input();
    input.write_all(numbered(60).as_bytes()).unwrap();
    wait_for_accepted(&log, 60);
    fs::remove_dir_all(&base).unwrap();
    running.signal(Signal::Terminate);
    let ended = running.ended().code(4).says([base.to_str().unwrap()]);
    assert_eq!(ended.count("accepted"), 60, "{ended:#?}");
    assert_sum(&ended);
    assert_eq!(ended.count("left"), 0, "nothing is there any more");
    drop(input);
}
