//! Limits of the process: descriptors and memory.

use std::path::Path;
use std::process::Command;

use wolff::client::codec::PartitionId;
use wolff::client::codec::messages::{MetadataResponse, MetadataResponsePartition};
use wolff_testbroker::Fault;

use super::{NOBODY, assert_sum, produce};
use crate::support::{Ended, all_values, cluster, directory, numbered, run};

/// Runs a command under limits that a shell sets.
fn limited(limits: &str, command: &Command, input: &str) -> Ended {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{limits}; exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_remove("WOLFF_LOG");
    run(&mut shell, input)
}

fn with_queue(brokers: &str, queue: &Path) -> Command {
    produce(brokers, Some(queue), "40")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_limit_of_descriptors_is_raised_as_far_as_it_may_be() {
    let cluster = cluster(120).await;
    let room = directory();
    let command = with_queue(&cluster.bootstrap(), room.path());
    let ended = limited("ulimit -S -n 128", &command, &numbered(2_000)).code(0);
    assert_sum(&ended);
    assert_eq!(all_values(&cluster).len(), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_limit_of_descriptors_loses_nothing_that_is_not_counted() {
    let cluster = cluster(120).await;
    let room = directory();
    let command = with_queue(&cluster.bootstrap(), room.path());
    let ended = limited("ulimit -n 128", &command, &numbered(2_000));
    // Refused at once, with the limit named, or begun: then each record is counted.
    if ended.code == Some(1) {
        assert!(ended.stderr.contains("ulimit -n"), "{ended:#?}");
        assert!(all_values(&cluster).is_empty());
        return;
    }
    assert_sum(&ended);
    assert!(!ended.stderr.contains("other reasons"), "{ended:#?}");
    if ended.code != Some(0) {
        assert!(ended.stderr.contains("ulimit -n"), "{ended:#?}");
    }
}

/// Fewer descriptors than the queues alone take: each line is in Kafka, or refused with the limit.
#[tokio::test(flavor = "multi_thread")]
async fn with_fewer_descriptors_than_queues_each_line_is_delivered_or_refused_by_name() {
    let cluster = cluster(200).await;
    let room = directory();
    // Not long: what was accepted may find no descriptor for a connection, and stays in the queue.
    let mut command = produce(&cluster.bootstrap(), Some(room.path()), "2");
    command.args(["--partitioner", "roundrobin"]);
    let ended = limited("ulimit -n 64", &command, &numbered(2_000));
    let ended = ended.code(2).says(["Too many open files", "ulimit -n"]);
    assert_sum(&ended);
    assert_eq!(ended.count("accepted") + ended.count("refused"), 2_000);
    let reasons = &ended.json()["reasons"];
    assert_eq!(
        reasons["queue_unavailable"].as_u64(),
        Some(ended.count("refused"))
    );
    let acked = usize::try_from(ended.count("acked")).unwrap();
    assert_eq!(all_values(&cluster).len(), acked);
    // What the queue took is sent where there are enough.
    let next = run(&mut with_queue(&cluster.bootstrap(), room.path()), "").code(0);
    assert_eq!(next.count("replayed"), ended.count("left"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_number_of_the_input_sizes_nothing() {
    let cluster = cluster(1).await;
    let room = directory();
    let limits = "ulimit -v 4000000";
    let mut command = produce(NOBODY, Some(room.path()), "0.1");
    command.args(["--format", "jsonl"]);
    // Refused at once, or queued until the partitions are known.
    let ended = limited(limits, &command, "{\"partition\":2147483647}\n");
    assert!(matches!(ended.code, Some(2 | 3)), "{ended:#?}");
    assert_sum(&ended);
    // The next start, without that line, is as any other: the record ends, since there is no such
    // partition.
    let command = produce(&cluster.bootstrap(), Some(room.path()), "40");
    let next = limited(limits, &command, "line\n");
    let counts = ["acked", "replay_failed", "left_from_earlier"];
    let left = ended.count("left");
    assert_eq!(counts.map(|name| next.count(name)), [1, left, 0]);
    let command = produce(&cluster.bootstrap(), Some(room.path()), "40");
    limited(limits, &command, "").code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_partition_that_is_absurd_is_refused_or_bounded() {
    let room = directory();
    let limits = "ulimit -v 4000000";
    let mut command = produce(NOBODY, Some(room.path()), "0.1");
    command.args(["--partitioner", "50000000"]);
    let ended = limited(limits, &command, "a\n");
    assert!(matches!(ended.code, Some(1..=3)), "{ended:#?}");
    let command = produce(NOBODY, Some(room.path()), "0.1");
    limited(limits, &command, "b\n").code(3);
}

/// Directories below this one.
fn directories(path: &Path) -> usize {
    let entries = std::fs::read_dir(path).unwrap();
    let below = entries.map(|entry| entry.unwrap().path());
    let folders = below.filter(|path| path.is_dir());
    folders.map(|folder| 1 + directories(&folder)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_more_partitions_than_can_be_sizes_nothing() {
    let cluster = cluster(1).await;
    let blow_up = |response: &mut MetadataResponse| {
        for topic in &mut response.topics {
            let one = topic.partitions[0].clone();
            let partition = |index| MetadataResponsePartition {
                partition_index: PartitionId(index),
                ..one.clone()
            };
            topic.partitions = (0..200_000).map(partition).collect();
        }
    };
    cluster.inject(Fault::edit_answer(blow_up).always());
    let room = directory();
    let mut command = produce(&cluster.bootstrap(), Some(room.path()), "1");
    let ended = run(&mut command, numbered(10)).code(3);
    assert_eq!(ended.count("left"), 10);
    assert_sum(&ended);
    ended.says(["more partitions than a topic can have", "200000"]);
    assert!(directories(room.path()) < 20);
}
