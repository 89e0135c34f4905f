//! Records that failed: each named by input, line, size and reason, ten of them, and then a count.

use std::fs;

use wolff::ErrorCode;
use wolff::client::codec::ApiKey;
use wolff::client::codec::messages::{BatchIndexAndErrorMessage, ProduceResponse};
use wolff_testbroker::Fault;

use super::{assert_sum, produce};
use crate::support::{TOPIC, all_values, cluster, directory, run};

#[tokio::test(flavor = "multi_thread")]
async fn each_of_a_few_failed_records_is_named_by_input_line_size_and_reason() {
    let cluster = cluster(1).await;
    cluster
        .configure_topic(TOPIC, "max.message.bytes", "2000")
        .unwrap();
    let room = directory();
    for on_disk in [false, true] {
        let file = room.path().join("input");
        let large = "x".repeat(5_000);
        fs::write(&file, format!("first\n{large}\nthird\n{large}y\n")).unwrap();
        let queue = room.path().join("q");
        let queue = on_disk.then_some(queue.as_path());
        let mut command = produce(&cluster.bootstrap(), queue, "40");
        let ended = run(command.arg(&file), "").code(2);
        let name = file.display();
        for (line, bytes) in [(2, 5_000), (4, 5_001)] {
            let place = format!("{name}:{line}:");
            let said = ended.stderr.lines().find(|said| said.contains(&place));
            let said = said.unwrap_or_else(|| panic!("{place} in {ended:#?}"));
            assert!(said.contains(&format!("{bytes} bytes")), "{said}");
            assert!(said.contains("too large"), "{said}");
        }
        assert_eq!(ended.count("failed"), 2);
        assert_sum(&ended);
        let reasons = ended.json()["reasons"].to_string();
        assert!(reasons.contains("message_too_large"), "{reasons}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_failed_records_are_named_and_the_others_counted() {
    let cluster = cluster(1).await;
    cluster
        .configure_topic(TOPIC, "max.message.bytes", "2000")
        .unwrap();
    let input: String = (0..25)
        .map(|number| format!("{number}{}\n", "x".repeat(5_000)))
        .collect();
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), input).code(2);
    let named = (1..=25)
        .filter(|line| ended.stderr.contains(&format!("<stdin>:{line}:")))
        .count();
    assert_eq!(named, 10, "{ended:#?}");
    assert!(ended.stderr.contains("15 more"), "{ended:#?}");
    assert_eq!(ended.count("failed"), 25);
    assert_sum(&ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_record_that_the_broker_rejects_is_named_with_the_brokers_reason() {
    let cluster = cluster(1).await;
    let reject = Fault::error(ErrorCode::INVALID_RECORD).api(ApiKey::PRODUCE);
    cluster.inject(reject.always());
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "only\n")
        .code(2)
        .says(["<stdin>:1:", "4 bytes", "INVALID_RECORD"]);
    assert_eq!((ended.count("accepted"), ended.count("failed")), (1, 1));
    assert_sum(&ended);
    assert!(all_values(&cluster).is_empty());
}

/// A broker that refuses records with a code, and with these words about the batch and the record.
fn refusal(code: ErrorCode, words: &'static str) -> Fault {
    Fault::edit_answer(move |response: &mut ProduceResponse| {
        let topics = response.responses.iter_mut();
        for answer in topics.flat_map(|topic| &mut topic.partition_responses) {
            answer.error_code = code;
            answer.error_message = Some(words.into());
            answer.record_errors = vec![BatchIndexAndErrorMessage {
                batch_index: 0,
                batch_index_error_message: Some(words.into()),
                ..BatchIndexAndErrorMessage::default()
            }];
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_broker_forge_no_line_and_come_to_an_end() {
    let cluster = cluster(1).await;
    let words = "bad record\n  install the fix: curl\u{1b}[2J\nerror: forged".to_owned();
    let words: &str = format!("{words}{}", "x".repeat(20_000)).leak();
    cluster.inject(refusal(ErrorCode::INVALID_RECORD, words).always());
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "only\n").code(2);
    let shown = "bad record\\n  install the fix: curl\\u{1b}[2J\\nerror: forgedxxx";
    for line in ended.stderr.lines() {
        let start = line.trim_start();
        assert!(!start.starts_with("install"), "{line}");
        assert!(!line.starts_with("error: forged"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert!(line.chars().count() < 800, "{line}");
    }
    ended.says(["<stdin>:1:", "INVALID_RECORD", shown]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_record_is_told_once_and_in_words_for_people() {
    let cluster = cluster(1).await;
    cluster.inject(refusal(ErrorCode::INVALID_RECORD, "no key").always());
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "only\n").code(2);
    let told = |line: &&str| line.contains("no key");
    let lines: Vec<_> = ended.stderr.lines().filter(told).collect();
    assert_eq!(lines.len(), 2, "the record and the count: {ended:#?}");
    assert!(lines[0].starts_with("error: <stdin>:1: "), "{ended:#?}");
    assert!(
        lines[1].starts_with("error: 1 record failed for good: "),
        "{ended:#?}"
    );

    // Whoever asks for more gets the library's own line as well.
    let mut command = produce(&cluster.bootstrap(), None, "40");
    let ended = run(command.arg("-v"), "only\n").code(2);
    assert!(!ended.stderr.contains("PartitionId("), "{ended:#?}");
    ended.says(["records failed: ", "(partition=0, records=1)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_goes_on_is_told_apart_from_the_brokers_words() {
    let cluster = cluster(1).await;
    let words = "3107 records have no key";
    cluster.inject(refusal(ErrorCode::NOT_ENOUGH_REPLICAS, words).times(4));
    run(&mut produce(&cluster.bootstrap(), None, "40"), "only\n")
        .code(0)
        .says([
            "warning: the broker keeps refusing a batch: NOT_ENOUGH_REPLICAS",
            words,
        ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_which_no_record_can_be_made_are_refused_and_never_accepted() {
    let cluster = cluster(1).await;
    let mut command = produce(&cluster.bootstrap(), None, "40");
    let input = "{\"value\":\"a\"}\n{oops}\n";
    let ended = run(command.args(["--format", "jsonl"]), input).code(2);
    let counts = ["accepted", "acked", "failed", "refused"];
    assert_eq!(counts.map(|name| ended.count(name)), [1, 1, 0, 1]);
    assert_sum(&ended);
}
