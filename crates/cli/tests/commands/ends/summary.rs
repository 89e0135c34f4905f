//! The summary and the exit code: first things first, and never a success that is none.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Stdio;

use wolff::client::codec::{ApiKey, ErrorCode};
use wolff_testbroker::{Cluster, Fault};

use super::{NOBODY, assert_sum, produce};
use crate::support::{
    Running, Signal, TOPIC, all_values, cluster, directory, numbered, run, run_to,
    wait_for_accepted,
};

fn full() -> Stdio {
    Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_after_a_full_delivery_has_a_code_of_its_own() {
    let cluster = cluster(1).await;
    let ended = run_to(
        &mut produce(&cluster.bootstrap(), None, "40"),
        "line\n",
        full(),
    );
    ended.code(6).says(["No space left", "1 acknowledged"]);
    assert_eq!(all_values(&cluster).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_whose_reader_has_gone_is_said_on_standard_error() {
    let cluster = cluster(1).await;
    let mut running = Running::start(&mut produce(&cluster.bootstrap(), None, "40"));
    drop(running.child().stdout.take());
    let mut input = running.input();
    input.write_all(b"line\n").unwrap();
    drop(input);
    running.ended().code(6).says(["1 acknowledged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_the_records_says_more_than_a_report_that_cannot_be_written() {
    let ended = run_to(&mut produce(NOBODY, None, "0.1"), "line\n", full());
    ended.code(2).says(["No space left"]);
    let room = directory();
    let ended = run_to(
        &mut produce(NOBODY, Some(room.path()), "0.1"),
        "line\n",
        full(),
    );
    ended.code(3).says(["No space left"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_has_every_count_and_they_add_up() {
    let cluster = cluster(1).await;
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "a\nb\n").code(0);
    let json = ended.json();
    for name in [
        "accepted",
        "acked",
        "sent",
        "failed",
        "in_doubt",
        "left",
        "replayed",
        "replay_failed",
        "left_from_earlier",
        "possibly_duplicated",
        "damaged_records",
    ] {
        assert!(json[name].is_u64(), "{name} in {json}");
    }
    assert_eq!(json["idempotent"], true);
    assert!(json["reasons"].is_object(), "{json}");
    assert_sum(&ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_acknowledgements_records_are_sent_and_not_acknowledged() {
    let cluster = cluster(1).await;
    let mut command = produce(&cluster.bootstrap(), None, "40");
    let ended = run(command.args(["--acks", "none"]), "a\nb\n").code(0);
    assert_eq!((ended.count("acked"), ended.count("sent")), (0, 2));
    assert_sum(&ended);
    let mut command = crate::support::produce(&cluster.bootstrap());
    let ended = run(command.args(["--acks", "none"]), "a\nb\n").code(0);
    assert!(ended.stderr.contains("2 sent"), "{ended:#?}");
    assert!(!ended.stderr.contains("acknowledged"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_not_answered_is_in_doubt() {
    let cluster = cluster(1).await;
    let hold = cluster.inject(Fault::hold_answer().api(ApiKey::PRODUCE).always());
    let ended = run(&mut produce(&cluster.bootstrap(), None, "0.5"), "a\n").code(2);
    assert_eq!((ended.count("failed"), ended.count("in_doubt")), (0, 1));
    assert_sum(&ended);
    assert!(ended.stderr.contains("in doubt"), "{ended:#?}");
    assert_eq!(all_values(&cluster), [b"a"], "it is in the log");
    cluster.remove_fault(hold);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_keeps_refusing_is_told_while_it_lasts_and_at_the_end() {
    for code in [
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode(9_999),
    ] {
        let cluster = cluster(1).await;
        cluster.inject(Fault::error(code).api(ApiKey::PRODUCE).always());
        let room = directory();
        let queue = room.path().join("q");
        let mut command = produce(&cluster.bootstrap(), Some(&queue), "3");
        let ended = run(&mut command, "a\n").code(3);
        assert_eq!(ended.count("left"), 1);
        let name = code.to_string();
        assert_eq!(ended.json()["refusing_partitions"][&name], 1, "{ended:#?}");
        let at_the_end = format!(
            "no acknowledgement within 3s: the broker refuses the records of 1 partition with {name}"
        );
        let while_it_lasts = format!("the broker keeps refusing a batch: {name} (partition=0");
        ended.says([at_the_end, while_it_lasts]);
    }
}

/// A cluster that grants no producer ids.
async fn cluster_without_identities() -> Cluster {
    let builder = Cluster::builder().topic(TOPIC, 1);
    builder
        .without_api(ApiKey::INIT_PRODUCER_ID)
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn possible_duplicates_are_a_warning_and_no_failure() {
    let cluster = cluster_without_identities().await;
    cluster.inject(Fault::drop_answer().api(ApiKey::PRODUCE));
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "a\n").code(0);
    assert_eq!(all_values(&cluster), [b"a", b"a"]);
    assert_eq!(ended.count("possibly_duplicated"), 1, "{ended:#?}");
    assert_sum(&ended);
    assert!(
        ended.stderr.contains("warning") && ended.stderr.contains("twice"),
        "{ended:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_idempotence_is_told_with_its_reason_and_what_it_means() {
    let cluster = cluster_without_identities().await;
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "a\n").code(0);
    assert_eq!(ended.json()["idempotent"], false);
    let ended = ended.says(["warning", "idempotence"]);
    assert_sum(&ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_is_a_request_to_stop_as_any_other() {
    let room = directory();
    let (queue, log) = (room.path().join("q"), room.path().join("log"));
    let mut command = produce(NOBODY, Some(&queue), "40");
    let mut running = Running::start(command.arg("--accepted-log").arg(&log));
    let mut input = running.input();
    input.write_all(numbered(10).as_bytes()).unwrap();
    wait_for_accepted(&log, 10);
    running.signal(Signal::HangUp);
    let ended = running.ended().code(3);
    assert_eq!((ended.count("accepted"), ended.count("left")), (10, 10));
    assert_sum(&ended);
    drop(input);
}
