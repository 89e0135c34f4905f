//! Records lost to damage, or with their directory: counted, named, and an exit code of their own.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use wolff_testbroker::Cluster;

use super::{NOBODY, assert_sum, leave, produce};
use crate::support::{
    Running, Signal, all_values, cluster, directory, number, numbered, run, segments,
    wait_for_accepted,
};

/// Lines that fill a few segments' worth of memory.
const LINES: usize = 40_000;

/// The directory of the only queue below this one that has segments.
fn queue_with_segments(base: &Path) -> PathBuf {
    let mut below: Vec<PathBuf> = vec![base.to_owned()];
    while let Some(directory) = below.pop() {
        if !segments(&directory).is_empty() {
            return directory;
        }
        let entries = fs::read_dir(&directory).unwrap();
        below.extend(
            entries
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_dir()),
        );
    }
    panic!("no queue below {}", base.display());
}

/// Overwrites eight bytes in the first segment that is long enough.
fn damage(queue: &Path) {
    let position = 200_000;
    let is_long = |path: &PathBuf| fs::metadata(path).unwrap().len() > position + 8;
    let path = segments(queue).into_iter().find(is_long).unwrap();
    let file = OpenOptions::new().write(true).open(path);
    file.unwrap().write_all_at(&[0xa5; 8], position).unwrap();
}

/// Number of the numbered lines that are in no log.
fn missing(cluster: &Cluster) -> u64 {
    let found: BTreeSet<u64> = all_values(cluster)
        .iter()
        .map(|value| number(value))
        .collect();
    u64::try_from(LINES - found.len()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_lost_to_a_damaged_file_are_counted_and_named() {
    let cluster = cluster(1).await;
    let room = directory();
    let base = room.path().join("q");
    leave(&base, &numbered(LINES));
    let queue = queue_with_segments(&base);
    damage(&queue);
    let mut command = produce(&cluster.bootstrap(), Some(&base), "40");
    let ended = run(&mut command, "").code(4);
    let lost = missing(&cluster);
    assert!(lost > 0, "nothing was damaged");
    assert_eq!(ended.count("damaged_records"), lost, "{ended:#?}");
    assert_sum(&ended);
    // As a person reads it, with thousands set apart or not.
    let ended = ended.says([base.to_str().unwrap(), ".segment", "damaged", "wolff queue"]);
    let said = ended.stderr.replace(',', "");
    assert!(said.contains(&lost.to_string()), "{lost} in {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_files_are_all_gone_is_damage_and_no_success() {
    let cluster = cluster(1).await;
    let room = directory();
    let base = room.path().join("q");
    leave(&base, &numbered(LINES));
    let queue = queue_with_segments(&base);
    for segment in segments(&queue) {
        fs::remove_file(segment).unwrap();
    }
    let mut command = produce(&cluster.bootstrap(), Some(&base), "40");
    let ended = run(&mut command, "one more\n").code(4);
    // At least one for each item: what an item had is gone with it.
    assert!(ended.count("damaged_records") > 1, "{ended:#?}");
    assert_sum(&ended);
    assert_eq!(ended.count("acked"), 1, "{ended:#?}");
    assert_eq!(all_values(&cluster).len(), 1);
    ended.says([base.to_str().unwrap(), "damaged", "wolff queue"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_and_failed_records_together_exit_with_the_code_of_damage() {
    let cluster = cluster(1).await;
    let room = directory();
    let base = room.path().join("q");
    leave(&base, &numbered(LINES));
    let queue = queue_with_segments(&base);
    damage(&queue);
    let mut command = produce(&cluster.bootstrap(), Some(&base), "40");
    command.args(["--format", "jsonl"]);
    let ended = run(&mut command, "{nonsense}\n").code(4);
    assert!(ended.count("damaged_records") > 0);
    assert_eq!(ended.count("refused"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_control_file_is_told_and_what_comes_again_is_counted() {
    let cluster = cluster(1).await;
    let room = directory();
    let base = room.path().join("q");
    leave(&base, &numbered(1_000));
    let queue = queue_with_segments(&base);
    fs::remove_file(queue.join("control")).unwrap();
    let mut command = produce(&cluster.bootstrap(), Some(&base), "40");
    let ended = run(&mut command, "");
    assert!(
        ended.stderr.contains("control") && ended.stderr.contains(queue.to_str().unwrap()),
        "{ended:#?}"
    );
    let again = all_values(&cluster).len().saturating_sub(1_000);
    assert!(u64::try_from(again).unwrap() <= ended.count("possibly_duplicated"));
}

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
