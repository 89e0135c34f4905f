//! Requests that fail, as errors and states of hosts tell of them, and silent brokers beside
//! others, in virtual time.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::time::Duration;

use tokio::time::Instant;
use wolff_client::codec::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    InitProducerIdRequest, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse, MetadataResponse,
};
use wolff_client::codec::{ApiKey, BrokerId, ErrorCode, PartitionId};
use wolff_client::{
    AdminError, Client, ConfigResource, ConnectionFailure, MetadataError, NewTopic, OffsetSpec,
    RequestCause, RequestContext,
};

use crate::peer::{Network, Peer, metadata, question, topic};

/// A client of a seed that serves this metadata, on a network with other hosts.
fn client_of(network: &Network, answer: MetadataResponse) -> Client {
    let mut seed = network.listen("seed");
    tokio::spawn(async move {
        while let Some(peer) = seed.accept_or_end().await {
            tokio::spawn(peer.serve(answer.clone()));
        }
    });
    network.client("seed").build().unwrap()
}

fn said(context: &RequestContext) -> (String, Option<BrokerId>, ApiKey) {
    (
        context.address().to_string(),
        context.broker(),
        context.api(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_told_with_host_api_and_time_and_kept_as_the_state_of_the_host() {
    let network = Network::default();
    let mut one = network.listen("one");
    let client = client_of(&network, metadata(&[(1, "one")], []));
    let (connection, mut peer) =
        tokio::join!(client.broker_connection(BrokerId(1)), one.accept_ready());
    let connection = connection.unwrap();
    let pending = connection.start(&question()).unwrap();
    peer.expect::<InitProducerIdRequest>().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(peer);
    let error = pending.await.unwrap_err();
    let expected = (
        "one:9092".to_owned(),
        Some(BrokerId(1)),
        ApiKey::INIT_PRODUCER_ID,
    );
    assert_eq!(said(error.context()), expected);
    assert_eq!(error.context().took(), Duration::from_secs(2));
    let text = "no response: InitProducerId to one:9092 (broker 1) after 2000 ms: the broker closed the \
                connection; it may have been carried out; if that repeats, see the broker's log";
    assert_eq!(error.to_string(), text);

    // What was sent later was not sent at all, and says so.
    let later = connection.start(&question()).unwrap_err();
    assert_eq!(said(later.context()), expected);
    assert!(!later.is_in_doubt());

    let states = client.host_states();
    let state = states.iter().find(|state| state.address.host() == "one");
    let state = state.unwrap();
    assert_eq!(state.last_failure, None, "it could be connected to");
    assert_eq!(state.last_request_failure, Some(error));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let states = client.host_states();
    let state = states.iter().find(|state| state.address.host() == "one");
    assert_eq!(
        state.unwrap().request_failed_ago,
        Some(Duration::from_secs(3))
    );

    // It stays when the host is connected to again.
    let (again, _peer) = tokio::join!(client.broker_connection(BrokerId(1)), one.accept_ready());
    again.unwrap();
    let states = client.host_states();
    let state = states.iter().find(|state| state.address.host() == "one");
    assert!(state.unwrap().last_request_failure.is_some());
}

#[tokio::test(start_paused = true)]
async fn metadata_that_nobody_answers_names_the_silent_host_afterwards() {
    let network = Network::default();
    let mut one = network.listen("one");
    let timeout = Duration::from_secs(4);
    let client = network.client("one").metadata_timeout(timeout);
    let client = client.build().unwrap();
    tokio::spawn(async move {
        let mut peers = Vec::new();
        loop {
            peers.push(one.accept_ready().await);
        }
    });
    let error = client.topic("t").await.unwrap_err();
    assert!(error.to_string().contains("one:9092"), "{error}");
    let state = &client.host_states()[0];
    let failure = state.last_request_failure.as_ref().unwrap();
    assert_eq!(failure.context().api(), ApiKey::METADATA);
    let cause = RequestCause::Connection(ConnectionFailure::TimedOut {
        api: ApiKey::METADATA,
        after: timeout / 2,
    });
    assert_eq!(*failure.cause(), cause);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_who_refused_what_and_what_to_do() {
    let network = Network::default();
    let mut one = network.listen("one");
    let client = client_of(&network, metadata(&[(1, "one")], []));
    let new = NewTopic::new("t");
    let creation = client.create_topic(&new, Duration::from_secs(1));
    let (outcome, ()) = tokio::join!(creation, async {
        let mut peer = one.accept_ready().await;
        let asked = peer.expect::<CreateTopicsRequest>().await;
        let mut answer = CreateTopicsResponse::default();
        answer.topics.push(Default::default());
        answer.topics[0].name = "t".into();
        answer.topics[0].error_code = ErrorCode::POLICY_VIOLATION;
        answer.topics[0].error_message = Some("no\r\nforged\u{1b}[2J line".into());
        peer.answer(asked.id, asked.version, &answer).await;
    });
    let error = outcome.unwrap_err();
    assert_eq!(
        error.to_string(),
        "POLICY_VIOLATION: no  forged[2J line, in response to CreateTopics to one:9092 (broker 1) \
         after 0 ms; see the policies that the brokers are configured with"
    );
    let AdminError::Refused { context, .. } = error else {
        panic!("{error}");
    };
    let expected = (
        "one:9092".to_owned(),
        Some(BrokerId(1)),
        ApiKey::CREATE_TOPICS,
    );
    assert_eq!(said(&context), expected);
    let MetadataError::LeftOut { context, .. } = client.topic("other").await.unwrap_err() else {
        panic!("left out");
    };
    assert_eq!(
        said(&context),
        ("seed:9092".to_owned(), None, ApiKey::METADATA)
    );
}

/// Answers the next ListOffsets about this partition.
async fn list(peer: &mut Peer, partition: i32, error_code: ErrorCode) {
    let asked = peer.expect::<ListOffsetsRequest>().await;
    let partitions = &asked.request.topics[0].partitions;
    assert_eq!(partitions.len(), 1);
    assert_eq!(partitions[0].partition_index, PartitionId(partition));
    let answer = ListOffsetsResponse {
        topics: vec![ListOffsetsTopicResponse {
            name: "t".into(),
            partitions: vec![ListOffsetsPartitionResponse {
                partition_index: PartitionId(partition),
                error_code,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    peer.answer(asked.id, asked.version, &answer).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_delays_neither_requests_to_others_nor_their_repetition() {
    for is_connected in [false, true] {
        let network = Network::default();
        network.black_hole("silent");
        let mut silent = is_connected.then(|| network.listen("silent"));
        let (mut two, mut three) = (network.listen("two"), network.listen("three"));
        let brokers = [(1, "silent"), (2, "two"), (3, "three")];
        let leaders = topic("t", &[(1, 0), (2, 0), (3, 0)]);
        let client = client_of(&network, metadata(&brokers, [leaders]));
        let start = Instant::now();
        let listing = tokio::spawn(async move {
            let wanted = [0, 1, 2].map(|partition| (PartitionId(partition), OffsetSpec::Latest));
            client.list_offsets("t", &wanted).await
        });
        // It has just been elected, and does not know it yet.
        let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
        list(&mut two.accept_ready().await, 1, code).await;
        list(&mut two.accept_ready().await, 1, ErrorCode::NONE).await;
        list(&mut three.accept_ready().await, 2, ErrorCode::NONE).await;
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}, {is_connected}");
        let serve = async {
            let mut peers = Vec::new();
            while let Some(silent) = &mut silent {
                peers.push(silent.accept_ready().await);
            }
            std::future::pending::<()>().await;
        };
        let listed = tokio::select! {
            listed = listing => listed.unwrap(),
            () = serve => panic!("never ends"),
        };
        let text = listed[0].1.as_ref().unwrap_err().to_string();
        assert!(text.contains("silent:9092"), "{text}");
        assert!(listed[1].1.is_ok() && listed[2].1.is_ok(), "{listed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_delays_no_other_that_is_asked_for_its_settings() {
    let network = Network::default();
    network.black_hole("silent");
    let mut two = network.listen("two");
    let client = client_of(&network, metadata(&[(1, "silent"), (2, "two")], []));
    let start = Instant::now();
    let asking = tokio::spawn(async move {
        let brokers = [1, 2].map(|id| ConfigResource::Broker(BrokerId(id)));
        client.describe_configs(&brokers, None).await
    });
    let mut peer = two.accept_ready().await;
    let asked = peer.expect::<DescribeConfigsRequest>().await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let answer = DescribeConfigsResponse::default();
    peer.answer(asked.id, asked.version, &answer).await;
    let described = asking.await.unwrap();
    let text = described[0].1.as_ref().unwrap_err().to_string();
    assert!(text.contains("silent:9092"), "{text}");
    let text = described[1].1.as_ref().unwrap_err().to_string();
    assert!(
        text.contains("missing in the response to DescribeConfigs to two:9092 (broker 2)"),
        "{text}"
    );
}
