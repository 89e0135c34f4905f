//! Brokers that are not there: records wait, and the exit code tells what became of them.

use std::io::Write;

use wolff::client::codec::{ApiKey, BrokerId};
use wolff_testbroker::Fault;

use crate::support::{
    Running, Signal, TOPIC, assert_numbered, cluster, directory, numbered, produce, run, values,
    wait_for_accepted, wolff,
};

const BROKER: BrokerId = BrokerId(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_no_broker_takes_waits_on_disk_and_is_delivered_by_a_run_without_input() {
    let cluster = cluster(3).await;
    cluster.kill(BROKER).await.unwrap();
    let directory = directory();
    let queue = directory.path().to_str().unwrap();
    let brokers = cluster.bootstrap();
    let run_on = |timeout: &str, input: String| {
        let mut command = wolff(["produce", "--brokers", &brokers, "--topic", TOPIC, "--json"]);
        command.args([
            "--partitioner",
            "1",
            "--queue-dir",
            queue,
            "--drain-timeout",
            timeout,
        ]);
        run(&mut command, input)
    };
    let ended = run_on("0.1", numbered(700)).code(3).says([
        "connection refused",
        "700 records left in the queue",
        queue,
        "to deliver them: wolff produce",
        "</dev/null",
    ]);
    let counts = ["accepted", "acked", "failed", "left", "replayed"].map(|name| ended.count(name));
    assert_eq!(counts, [700, 0, 0, 700, 0]);

    let ended = run_on("0", String::new()).code(3);
    assert_eq!(
        (ended.count("accepted"), ended.count("left_from_earlier")),
        (0, 700),
        "those of the first run"
    );

    cluster.revive(BROKER).await.unwrap();
    let ended = run_on("40", String::new()).code(0);
    let counts = ["accepted", "acked", "failed", "left", "replayed"].map(|name| ended.count(name));
    assert_eq!(counts, [0, 0, 0, 0, 700]);
    assert_eq!(assert_numbered(&values(&cluster, 1), 700), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_directory_what_is_not_delivered_is_lost_and_told() {
    let mut command = wolff([
        "produce",
        "--brokers",
        "127.0.0.1:1",
        "--topic",
        TOPIC,
        "--json",
    ]);
    let ended = run(command.args(["--drain-timeout", "0.1"]), "a\nb\n")
        .code(2)
        .says(["2 records failed for good", "lost", "--queue-dir"]);
    let counts = ["accepted", "acked", "failed", "left"].map(|name| ended.count(name));
    assert_eq!(counts, [2, 0, 2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_comes_back_in_the_middle_changes_nothing() {
    let cluster = cluster(1).await;
    let directory = directory();
    let log = directory.path().join("log");
    let mut command = produce(&cluster.bootstrap());
    command
        .arg("--queue-dir")
        .arg(directory.path().join("q"))
        .arg("--accepted-log")
        .arg(&log);
    let mut running = Running::start(&mut command);
    let mut input = running.input();
    let lines = numbered(30_000);
    let (first, last) = lines.split_at(lines.len() / 2);
    input.write_all(first.as_bytes()).unwrap();
    cluster.wait_for(|stats| stats.records() > 0).await;
    cluster.kill(BROKER).await.unwrap();
    input.write_all(last.as_bytes()).unwrap();
    drop(input);
    wait_for_accepted(&log, 30_000);
    cluster.revive(BROKER).await.unwrap();
    running.ended().code(0);
    assert_numbered(&values(&cluster, 0), 30_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_can_come_before_the_first_broker() {
    let cluster = cluster(2).await;
    cluster.kill(BROKER).await.unwrap();
    let directory = directory();
    let log = directory.path().join("log");
    let mut command = produce(&cluster.bootstrap());
    command.args(["--partitioner", "roundrobin"]);
    command
        .arg("--queue-dir")
        .arg(directory.path().join("q"))
        .arg("--accepted-log")
        .arg(&log);
    let mut running = Running::start(&mut command);
    running
        .input()
        .write_all(numbered(1_000).as_bytes())
        .unwrap();
    wait_for_accepted(&log, 1_000);
    cluster.revive(BROKER).await.unwrap();
    running.ended().code(0);
    assert_eq!(cluster.stats().records(), 1_000);
}

/// Starts with the input open, and waits until 10 records are on disk.
fn start_with_ten(
    brokers: &str,
    directory: &std::path::Path,
) -> (Running, std::process::ChildStdin) {
    let log = directory.join("log");
    let mut command = wolff(["produce", "--brokers", brokers, "--topic", TOPIC, "--json"]);
    command
        .arg("--queue-dir")
        .arg(directory.join("q"))
        .arg("--accepted-log")
        .arg(&log);
    let mut running = Running::start(&mut command);
    let mut input = running.input();
    input.write_all(numbered(10).as_bytes()).unwrap();
    wait_for_accepted(&log, 10);
    (running, input)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_all_is_delivered_is_a_clean_end() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let cluster = cluster(1).await;
        let directory = directory();
        let (mut running, input) = start_with_ten(&cluster.bootstrap(), directory.path());
        running.signal(signal);
        let ended = running.ended().code(0);
        assert_eq!((ended.count("acked"), ended.count("left")), (10, 0));
        drop(input);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_during_an_outage_leaves_the_rest_on_disk() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let directory = directory();
        let (mut running, input) = start_with_ten("127.0.0.1:1", directory.path());
        running.signal(signal);
        let ended = running
            .ended()
            .code(3)
            .says(["10 records left in the queue"]);
        assert_eq!((ended.count("acked"), ended.count("left")), (0, 10));
        drop(input);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_during_the_drain_ends_it_and_a_second_one_ends_the_grace() {
    let cluster = cluster(1).await;
    let silent = cluster.inject(Fault::hold().api(ApiKey::PRODUCE).always());
    let directory = directory();
    let (mut running, input) = start_with_ten(&cluster.bootstrap(), directory.path());
    drop(input);
    cluster
        .wait_for(|stats| stats.requests(ApiKey::PRODUCE) > 0)
        .await;
    running.signal(Signal::Interrupt);
    running.signal(Signal::Interrupt);
    let ended = running.ended().code(3);
    assert_eq!(ended.count("left"), 10);
    cluster.remove_fault(silent);
    let mut command = produce(&cluster.bootstrap());
    command
        .arg("--json")
        .arg("--queue-dir")
        .arg(directory.path().join("q"));
    assert_eq!(run(&mut command, "").code(0).count("replayed"), 10);
    assert_numbered(&values(&cluster, 0), 10);
}
