//! Brokers that are reached, and then send no response to what is produced, or no proper one.

use std::time::{Duration, Instant};

use wolff::client::codec::ApiKey;
use wolff_testbroker::Fault;

use super::produce;
use crate::support::{cluster, directory, run};

/// Misdeeds of a broker, each with the words for it.
fn misdeeds() -> [(Fault, &'static str); 4] {
    [
        (Fault::drop_request(), "the broker closed the connection"),
        (Fault::drop_answer(), "the broker closed the connection"),
        (Fault::half_answer(), "the broker closed the connection"),
        (
            Fault::wrong_correlation_id(),
            "the broker broke the protocol",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_without_a_response_is_told_at_once_and_at_the_end() {
    for api in [ApiKey::PRODUCE, ApiKey::INIT_PRODUCER_ID] {
        for (fault, words) in misdeeds() {
            let cluster = cluster(1).await;
            cluster.inject(fault.api(api).always());
            let brokers = cluster.bootstrap();
            let queue = directory();
            let start = Instant::now();
            let mut command = produce(&brokers, Some(queue.path()), "2");
            let ended = run(&mut command, "only\n").code(3);
            assert!(start.elapsed() < Duration::from_secs(15), "{api} {words}");
            let told = format!("no response to {api} from {brokers}, ");
            let warned = |line: &&str| line.starts_with("warning: ") && line.contains(&told);
            let lines = || ended.stderr.lines();
            assert!(lines().any(|line| warned(&line) && line.contains("sent again")));
            let end = lines().find(|line| line.contains("left in the queue"));
            let end = end.unwrap_or_else(|| panic!("{ended:#?}"));
            for part in [&told, words, "ms after it was sent", "partition 0: "] {
                assert!(end.contains(part), "{part} in {ended:#?}");
            }
            let data = ended.json()["waits_for"].as_str().unwrap().to_owned();
            assert!(data.contains(&told) && data.contains(words), "{data}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_owes_a_response_is_named_at_the_end_with_the_time() {
    let cluster = cluster(1).await;
    cluster.inject(Fault::hold().api(ApiKey::PRODUCE).always());
    let brokers = cluster.bootstrap();
    let ended = run(&mut produce(&brokers, None, "2"), "only\n").code(2);
    ended.says([
        "1 record in doubt",
        "what is in doubt was sent, and no acknowledgement within 2s",
        &format!("{brokers} is connected, and owes a response for "),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_has_passed_is_not_told_at_the_end() {
    let cluster = cluster(1).await;
    cluster.inject(Fault::drop_request().api(ApiKey::PRODUCE).times(3));
    let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "only\n").code(0);
    assert!(!ended.stderr.contains("error"), "{ended:#?}");
    assert!(ended.stderr.contains("no response to "), "{ended:#?}");
}
