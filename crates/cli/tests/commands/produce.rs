//! The straight way: everything arrives, once, in order.

use std::fs;
use std::io::Write;

use wolff_testbroker::Cluster;

use crate::support::{
    Running, TOPIC, accepted, all_values, assert_numbered, cluster, directory, numbered, produce,
    records, run, values, wait_for_accepted,
};

/// Lines as they come in real files: of mixed lengths, in several scripts, empty, not even UTF-8,
/// with carriage returns, and some of 100 KiB; the last one without its line feed.
fn mixed_lines() -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for number in 0..5_000_u32 {
        lines.push(match number % 50 {
            7 => Vec::new(),
            13 => format!("{number} größer, 大きい, больше").into_bytes(),
            21 => [format!("{number} ").as_bytes(), &[0xff, 0x00, 0xfe]].concat(),
            34 => format!("{number}\r").into_bytes(),
            42 if number % 1_000 == 42 => vec![b'x'; 100 * 1024],
            _ => format!("{number} {}", "word ".repeat(number as usize % 40)).into_bytes(),
        });
    }
    lines
}

fn count_each(cluster: &Cluster, lines: &[Vec<u8>]) {
    let mut expected = lines.to_vec();
    let mut arrived = all_values(cluster);
    expected.sort();
    arrived.sort();
    assert_eq!(arrived.len(), expected.len());
    assert!(arrived == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_arrives_once_with_each_compression_with_and_without_a_queue() {
    let lines = mixed_lines();
    let input = lines.join(&b'\n');
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for has_queue in [true, false] {
            let cluster = cluster(6).await;
            let directory = directory();
            let mut command = produce(&cluster.bootstrap());
            command.args(["--json", "--compression", compression]);
            if has_queue {
                command.arg("--queue-dir").arg(directory.path());
            }
            let ended = run(&mut command, input.clone()).code(0);
            assert_eq!(ended.stderr, "", "on no terminal it is quiet");
            assert_eq!(ended.count("acked"), lines.len() as u64);
            count_each(&cluster, &lines);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_partition_stay_in_order_with_every_kind_of_acks() {
    for acks in ["all", "leader", "none"] {
        let cluster = cluster(1).await;
        let mut command = produce(&cluster.bootstrap());
        run(command.args(["--acks", acks]), numbered(20_000)).code(0);
        if acks == "none" {
            // Nobody has acknowledged anything: the last ones may still be on their way.
            cluster.wait_for(|stats| stats.records() >= 20_000).await;
        }
        assert_eq!(assert_numbered(&values(&cluster, 0), 20_000), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_summary_has_exactly_the_promised_counts() {
    let cluster = cluster(2).await;
    let ended = run(produce(&cluster.bootstrap()).arg("--json"), "a\nb\n").code(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    let json = ended.json();
    let names: Vec<_> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "accepted",
            "acked",
            "broker_data_loss",
            "damaged_records",
            "failed",
            "idempotent",
            "in_doubt",
            "left",
            "left_from_earlier",
            "other_cluster_partitions",
            "possibly_duplicated",
            "reasons",
            "refused",
            "refusing_partitions",
            "replay_failed",
            "replayed",
            "resumed",
            "seconds",
            "sent",
            "waits_for"
        ]
    );
    assert!(json["seconds"].as_f64().unwrap() > 0.0);
    assert!(json["waits_for"].is_null());
    let counts = ["accepted", "acked", "failed", "left", "replayed"].map(|name| ended.count(name));
    assert_eq!(counts, [2, 2, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_a_line_and_stdout_stays_empty() {
    let cluster = cluster(1).await;
    let ended = run(&mut produce(&cluster.bootstrap()), numbered(3)).code(0);
    assert!(
        ended
            .stderr
            .starts_with("3 records accepted, 3 acknowledged in "),
        "{ended:?}"
    );
    assert_eq!(ended.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_one_after_the_other_and_a_dash_is_stdin() {
    let cluster = cluster(1).await;
    let directory = directory();
    let (first, last) = (
        directory.path().join("first"),
        directory.path().join("last"),
    );
    fs::write(&first, "a\nb").unwrap();
    fs::write(&last, "e").unwrap();
    let mut command = produce(&cluster.bootstrap());
    run(command.arg(&first).arg("-").arg(&last), "c\nd\n").code(0);
    assert_eq!(values(&cluster, 0).concat(), b"abcde");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_input_is_fine() {
    let cluster = cluster(1).await;
    let ended = run(produce(&cluster.bootstrap()).arg("--json"), "").code(0);
    assert_eq!(ended.count("accepted"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_chosen_as_asked() {
    let cluster = cluster(3).await;
    let counts = || [0, 1, 2].map(|partition| records(&cluster, partition).len());
    run(
        produce(&cluster.bootstrap()).args(["--partitioner", "1"]),
        numbered(30),
    )
    .code(0);
    assert_eq!(counts(), [0, 30, 0]);
    run(
        produce(&cluster.bootstrap()).args(["--partitioner", "roundrobin"]),
        numbered(30),
    )
    .code(0);
    assert_eq!(counts(), [10, 40, 10]);
    run(
        produce(&cluster.bootstrap()).args(["--partitioner", "random"]),
        numbered(300),
    )
    .code(0);
    assert!(counts().iter().all(|count| *count > 50), "{:?}", counts());
    run(
        produce(&cluster.bootstrap()).args(["--partitioner", "3"]),
        "a\n",
    )
    .code(1)
    .says(["--partitioner 3", "3 partitions"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accepted_log_grows_up_to_all_that_was_accepted() {
    let cluster = cluster(3).await;
    let directory = directory();
    let log = directory.path().join("log");
    let command = || {
        let mut command = produce(&cluster.bootstrap());
        command
            .arg("--queue-dir")
            .arg(directory.path().join("q"))
            .arg("--accepted-log")
            .arg(&log);
        command
    };
    let mut running = Running::start(&mut command());
    let mut input = running.input();
    for total in [1, 2, 1_000] {
        let missing = total - accepted(&log).last().copied().unwrap_or(0);
        input
            .write_all("x\n".repeat(missing as usize).as_bytes())
            .unwrap();
        // Reported while the input is still open.
        wait_for_accepted(&log, total);
    }
    drop(input);
    running.ended().code(0);
    let counts = accepted(&log);
    assert!(counts.is_sorted_by(|one, next| one < next), "{counts:?}");
    assert_eq!(counts.last(), Some(&1_000));

    // Another run appends its own counts; one without input has none.
    run(&mut command(), "").code(0);
    assert_eq!(accepted(&log), counts);
    run(&mut command(), "y\n").code(0);
    assert_eq!(accepted(&log).last(), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_more_when_it_is_told_to_linger() {
    let cluster = cluster(1).await;
    let mut command = produce(&cluster.bootstrap());
    let mut running = Running::start(command.args(["--linger-ms", "3600000"]));
    let mut input = running.input();
    for line in ["a\n", "b\n", "c\n"] {
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
    }
    drop(input);
    running.ended().code(0);
    assert_eq!(
        cluster.batches(TOPIC, wolff::PartitionId(0)).unwrap().len(),
        1,
        "sent at the end, as one"
    );
}
