//! Topics' metadata of a client, and how it is learnt, in virtual time.

use std::time::Duration;

use tokio::time::{Instant, advance};
use wolff_client::MetadataError;
use wolff_client::codec::ErrorCode;
use wolff_client::codec::messages::MetadataRequest;

use crate::peer::topic;

use crate::single_broker::{Single, one, refused};

#[tokio::test(start_paused = true)]
async fn a_known_topic_is_not_asked_for_again() {
    let mut single = Single::start(|builder| builder).await;
    assert_eq!(
        single.lookup(&one([topic("t", &[(1, 0), (1, 0)])])).await,
        Ok(2)
    );
    // Nobody answers now, so that these would hang if they asked.
    assert_eq!(single.client.topic("t").await.unwrap().partitions.len(), 2);
    assert_eq!(single.client.known_topic("t").unwrap().partitions.len(), 2);
    assert_eq!(single.client.known_cluster().brokers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_lookups_are_one_question() {
    let mut single = Single::start(|builder| builder).await;
    let lookups: Vec<_> = (0..1_000)
        .map(|number| {
            let client = single.client.clone();
            tokio::spawn(async move { client.topic(["t", "u"][number % 2]).await })
        })
        .collect();
    let first = single.peer.expect::<MetadataRequest>().await;
    let answer = one([topic("t", &[(1, 0)]), topic("u", &[(1, 0)])]);
    single.peer.answer(first.id, first.version, &answer).await;
    // The first question left when only the first lookup was there; the second has all others.
    let asked = first.request.topics.unwrap().len();
    if asked == 1 {
        single.peer.answer_metadata(&answer).await;
    }
    for lookup in lookups {
        assert_eq!(lookup.await.unwrap().unwrap().partitions.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn stale_metadata_is_refreshed_once_per_interval() {
    let mut single = Single::start(|builder| builder).await;
    let start = Instant::now();
    for round in 0..5 {
        let partitions = vec![(1, 0); round + 1];
        let answer = one([topic("t", &partitions)]);
        assert_eq!(single.lookup(&answer).await, Ok(round + 1));
        assert_eq!(
            start.elapsed(),
            Duration::from_secs(u64::try_from(round).unwrap())
        );
        single.client.mark_stale("t");
        single.client.mark_stale("t");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_told_and_what_was_known_stays() {
    let mut single = Single::start(|builder| builder).await;
    single
        .lookup(&one([topic("t", &[(1, 0), (1, 0)])]))
        .await
        .unwrap();
    single.client.mark_stale("t");
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let refusal = single.lookup(&one([refused(code)])).await.unwrap_err();
    let said = refusal.to_string();
    let expected = "topic t: UNKNOWN_TOPIC_OR_PARTITION, in response to Metadata to ";
    assert!(said.starts_with(expected), "{said}");
    let advice = "create it, or check its name and the permission to describe it";
    assert!(said.ends_with(advice), "{said}");
    assert_eq!(
        single.client.topic("t").await.unwrap_err(),
        refusal,
        "without asking"
    );
    assert_eq!(single.client.known_topic("t").unwrap().partitions.len(), 2);
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        single.lookup(&one([topic("t", &[(1, 1)])])).await,
        Ok(2),
        "the same topic id"
    );
    assert_eq!(single.client.topic_exists("t").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_the_answer_leaves_out_is_an_error() {
    let mut single = Single::start(|builder| builder).await;
    let outcome = single.lookup(&one([topic("other", &[(1, 0)])])).await;
    assert!(
        matches!(&outcome, Err(MetadataError::LeftOut { topic, .. }) if &**topic == "t"),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn with_auto_creation_a_lookup_waits_for_the_new_topic() {
    let mut single = Single::start(|builder| builder.allow_auto_topic_creation(true)).await;
    let client = single.client.clone();
    let lookup = tokio::spawn(async move { client.topic("t").await });
    let start = Instant::now();
    for code in [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
    ] {
        let asked = single.peer.answer_metadata(&one([refused(code)])).await;
        assert!(asked.allow_auto_topic_creation);
    }
    single
        .peer
        .answer_metadata(&one([topic("t", &[(1, 0)])]))
        .await;
    assert_eq!(lookup.await.unwrap().unwrap().partitions.len(), 1);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_being_created_is_not_asked_for_in_haste_however_short_the_interval_is() {
    let mut single = Single::start(|builder| {
        builder
            .allow_auto_topic_creation(true)
            .min_metadata_refresh_interval(Duration::ZERO)
    })
    .await;
    let client = single.client.clone();
    let lookup = tokio::spawn(async move { client.topic("t").await });
    let not_yet = one([refused(ErrorCode::LEADER_NOT_AVAILABLE)]);
    let begin = Instant::now();
    for _ in 0..10 {
        single.peer.answer_metadata(&not_yet).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(450));
    single
        .peer
        .answer_metadata(&one([topic("t", &[(1, 0)])]))
        .await;
    assert_eq!(lookup.await.unwrap().unwrap().partitions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn auto_creation_is_given_up_after_the_metadata_timeout() {
    let single = Single::start(|builder| {
        builder
            .allow_auto_topic_creation(true)
            .metadata_timeout(Duration::from_secs(5))
    })
    .await;
    tokio::spawn(
        single
            .peer
            .serve(one([refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)])),
    );
    let start = Instant::now();
    let timeout = Duration::from_secs(5);
    let outcome = single.client.topic("t").await.unwrap_err();
    assert!(
        matches!(&outcome, MetadataError::Topic { .. }),
        "the broker's last reason: {outcome}"
    );
    assert_eq!(start.elapsed(), timeout);
}

#[tokio::test(start_paused = true)]
async fn an_idle_metadata_connection_that_was_closed_is_no_error() {
    let mut single = Single::start(|builder| builder).await;
    drop(single.peer);
    // Closed without the client having noticed yet.
    let lookup = single.client.topic("t");
    let broker = async {
        let mut peer = single.listener.accept_ready().await;
        peer.answer_metadata(&one([topic("t", &[(1, 0)])])).await;
        peer
    };
    let (outcome, _peer) = tokio::join!(lookup, broker);
    assert_eq!(outcome.unwrap().partitions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whether_a_topic_exists_is_asked_and_not_remembered() {
    let mut single = Single::start(|builder| builder).await;
    let here = one([topic("t", &[(1, 0)])]);
    let gone = one([refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]);
    for (answer, expected) in [(&here, true), (&gone, false), (&here, true)] {
        let exists = single.client.topic_exists("t");
        let (exists, _) = tokio::join!(exists, single.peer.answer_metadata(answer));
        assert_eq!(exists, Ok(expected));
        // Within the interval nobody is asked: nobody answers here.
        assert_eq!(single.client.topic_exists("t").await, Ok(expected));
        advance(Duration::from_secs(1)).await;
    }
}
