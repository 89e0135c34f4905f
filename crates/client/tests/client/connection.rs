//! One connection against a broker that is told what to say, in virtual time.

#![expect(clippy::panic, reason = "helpers of tests")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, advance};
use wolff_client::codec::messages::{ApiVersionsRequest, InitProducerIdRequest, ProduceRequest};
use wolff_client::codec::{ApiKey, CorrelationId};
use wolff_client::{
    ClientBuilder, ClientConfig, ConnectionFailure, ProtocolViolation, RequestCause, RequestError,
};

use crate::peer::{
    Network, all_versions, connected, connected_with, frame, numbered, produce, produced, question,
};

fn never_idle(builder: ClientBuilder) -> ClientBuilder {
    builder.idle_probe(None).idle_limit(None)
}

fn lost(error: RequestError) -> (bool, ConnectionFailure) {
    let is_in_doubt = error.is_in_doubt();
    match error.cause() {
        RequestCause::Connection(failure) => (is_in_doubt, failure.clone()),
        other => panic!("not a lost connection: {other}"),
    }
}

#[tokio::test]
async fn requests_are_pipelined_and_answered_in_order() {
    let (_client, connection, mut peer) = connected().await;
    let pending: Vec<_> = (0..20)
        .map(|_| connection.start(&question()).unwrap())
        .collect();
    // All of them are there before the first one is answered.
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.push(peer.expect::<InitProducerIdRequest>().await);
    }
    for (number, asked) in (0..).zip(asked) {
        peer.answer(asked.id, asked.version, &numbered(number))
            .await;
    }
    for (number, pending) in (0..).zip(pending) {
        assert_eq!(pending.await.unwrap().producer_id.0, number);
    }
}

#[tokio::test]
async fn an_answer_in_single_bytes_is_an_answer() {
    let (_client, connection, mut peer) = connected().await;
    let pending = connection.start(&question()).unwrap();
    let asked = peer.expect::<InitProducerIdRequest>().await;
    for byte in frame(asked.id, asked.version, &numbered(7)) {
        peer.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(pending.await.unwrap().producer_id.0, 7);
}

#[tokio::test]
async fn a_close_at_any_byte_of_the_answer_leaves_the_request_in_doubt() {
    let length = frame(CorrelationId(1), 5, &numbered(7)).len();
    for cut in 0..length {
        let (_client, connection, mut peer) = connected().await;
        let pending = connection.start(&question()).unwrap();
        let asked = peer.expect::<InitProducerIdRequest>().await;
        let answer = frame(asked.id, asked.version, &numbered(7));
        peer.send(&answer[..cut]).await;
        drop(peer);
        let outcome = lost(pending.await.unwrap_err());
        assert_eq!(
            outcome,
            (true, ConnectionFailure::ClosedByPeer),
            "after {cut} bytes"
        );
        assert_eq!(connection.closed().await, ConnectionFailure::ClosedByPeer);
    }
}

#[tokio::test]
async fn a_request_that_was_not_written_to_its_end_is_not_sent() {
    // The pipe takes one small request, and not the whole of the next.
    let (_client, connection, peer) = connected_with(64, |builder| builder).await;
    let first = connection.start(&question()).unwrap();
    let large = InitProducerIdRequest {
        transactional_id: Some("x".repeat(1_000).into()),
        ..question()
    };
    let second = connection.start(&large).unwrap();
    let third = connection.start(&question()).unwrap();
    tokio::task::yield_now().await;
    drop(peer);
    assert!(lost(first.await.unwrap_err()).0);
    assert!(!lost(second.await.unwrap_err()).0);
    assert!(!lost(third.await.unwrap_err()).0);
    let refused = connection.start(&question()).unwrap_err();
    assert!(!lost(refused).0, "after the end nothing is sent");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_starts_when_the_request_becomes_the_oldest() {
    let (_client, connection, mut peer) = connected_with(1 << 16, never_idle).await;
    let start = Instant::now();
    let first = connection.start(&question()).unwrap();
    let second = connection.start(&question()).unwrap();
    let third = connection.start(&question()).unwrap();
    advance(Duration::from_secs(29)).await;
    peer.answer_number(1).await;
    assert_eq!(first.await.unwrap().producer_id.0, 1);
    advance(Duration::from_secs(29)).await;
    peer.answer_number(2).await;
    assert_eq!(second.await.unwrap().producer_id.0, 2);
    let (is_in_doubt, failure) = lost(third.await.unwrap_err());
    assert!(is_in_doubt);
    let after = Duration::from_secs(30);
    assert_eq!(
        failure,
        ConnectionFailure::TimedOut {
            api: ApiKey::INIT_PRODUCER_ID,
            after
        }
    );
    assert_eq!(start.elapsed().as_secs(), 88);
    assert!(connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_has_no_deadline() {
    let (_client, connection, mut peer) = connected_with(1 << 16, never_idle).await;
    let pending = connection.start(&question()).unwrap();
    peer.answer_number(1).await;
    pending.await.unwrap();
    advance(Duration::from_secs(100_000)).await;
    let pending = connection.start(&question()).unwrap();
    advance(Duration::from_secs(29)).await;
    peer.answer_number(2).await;
    assert_eq!(pending.await.unwrap().producer_id.0, 2);
}

#[tokio::test]
async fn a_wrong_correlation_id_ends_the_connection_for_all() {
    let (_client, connection, mut peer) = connected().await;
    let first = connection.start(&question()).unwrap();
    let second = connection.start(&question()).unwrap();
    let one = peer.expect::<InitProducerIdRequest>().await;
    let two = peer.expect::<InitProducerIdRequest>().await;
    peer.answer(two.id, two.version, &numbered(2)).await;
    let violation = ProtocolViolation::OutOfOrder {
        expected: one.id,
        got: two.id,
    };
    let expected = (true, ConnectionFailure::Protocol(violation));
    assert_eq!(lost(first.await.unwrap_err()), expected);
    assert_eq!(lost(second.await.unwrap_err()), expected);
}

#[tokio::test]
async fn an_answer_to_nothing_ends_the_connection() {
    let (_client, connection, mut peer) = connected().await;
    peer.answer(CorrelationId(99), 4, &numbered(1)).await;
    let violation = ProtocolViolation::Unasked {
        got: CorrelationId(99),
    };
    assert_eq!(
        connection.closed().await,
        ConnectionFailure::Protocol(violation)
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_ends_the_connection() {
    let (_client, connection, mut peer) = connected().await;
    let first = connection.start(&question()).unwrap();
    let second = connection.start(&question()).unwrap();
    let asked = peer.expect::<InitProducerIdRequest>().await;
    let mut answer = frame(asked.id, asked.version, &numbered(1)).to_vec();
    answer.truncate(answer.len() - 3);
    let length = u32::try_from(answer.len() - 4).unwrap();
    answer[..4].copy_from_slice(&length.to_be_bytes());
    peer.send(&answer).await;
    for pending in [first, second] {
        let (is_in_doubt, failure) = lost(pending.await.unwrap_err());
        assert!(is_in_doubt);
        let is_malformed = |violation| matches!(violation, ProtocolViolation::Malformed { .. });
        assert!(matches!(failure, ConnectionFailure::Protocol(it) if is_malformed(it.clone())));
    }
}

#[tokio::test]
async fn bytes_after_a_response_are_ignored() {
    let (_client, connection, mut peer) = connected().await;
    for number in 1..=2 {
        let pending = connection.start(&question()).unwrap();
        let asked = peer.expect::<InitProducerIdRequest>().await;
        let mut answer = frame(asked.id, asked.version, &numbered(number)).to_vec();
        answer.extend([0; 7]);
        let length = u32::try_from(answer.len() - 4).unwrap();
        answer[..4].copy_from_slice(&length.to_be_bytes());
        peer.send(&answer).await;
        assert_eq!(pending.await.unwrap().producer_id.0, number);
    }
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn a_request_that_no_broker_answers_is_refused_where_an_answer_is_waited_for() {
    let (_client, connection, _peer) = connected().await;
    let refused = connection.request(&produce(0)).await.unwrap_err();
    assert_eq!(*refused.cause(), RequestCause::Unacknowledged);
    assert!(!refused.is_in_doubt());
    let long = ProduceRequest {
        transactional_id: Some("x".repeat(200).as_str().into()),
        ..produce(-1)
    };
    for answered in [produce(1), ProduceRequest::default(), long] {
        assert!(connection.start(&answered).is_ok());
    }
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn a_broker_that_responds_to_acks_0_all_the_same_is_tolerated() {
    let (_client, connection, mut peer) = connected().await;
    for number in 1..=3 {
        let sent = connection.start_unacknowledged(&produce(0)).unwrap();
        let asked = peer.expect::<ProduceRequest>().await;
        sent.await.unwrap();
        let pending = connection.start(&question()).unwrap();
        peer.answer(asked.id, asked.version, &produced(0)).await;
        peer.answer_number(number).await;
        assert_eq!(pending.await.unwrap().producer_id.0, number);
    }
    assert!(!connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_dropped_while_idle_costs_the_next_request_two_seconds() {
    let network = Network::default();
    let mut listener = network.listen("kafka");
    let client = network.client("kafka").idle_limit(None).build().unwrap();
    let (connection, mut dropped) = tokio::join!(client.any_connection(), listener.accept_ready());
    let connection = connection.unwrap();
    advance(Duration::from_secs(360)).await;
    let start = Instant::now();
    let pending = connection.start(&question()).unwrap();
    let (is_in_doubt, failure) = lost(pending.await.unwrap_err());
    assert!(!is_in_doubt, "what waited for the probe was not sent");
    assert!(
        matches!(failure, ConnectionFailure::LostWhileIdle { .. }),
        "{failure}"
    );
    assert_eq!(start.elapsed(), Duration::from_millis(1_500));
    let probe = dropped.expect::<ApiVersionsRequest>().await;
    assert_eq!(probe.version, 0);
    assert_eq!(dropped.frame().await, None, "nothing but the probe");
    let (connection, _peer) = tokio::join!(client.any_connection(), listener.accept_ready());
    assert!(!connection.unwrap().is_closed());
}

#[tokio::test(start_paused = true)]
async fn after_idleness_a_connection_that_is_still_there_is_used_on() {
    let (_client, connection, mut peer) = connected().await;
    advance(Duration::from_secs(60)).await;
    let pending = connection.start(&question()).unwrap();
    let probe = peer.expect::<ApiVersionsRequest>().await;
    peer.answer(probe.id, probe.version, &all_versions()).await;
    peer.answer_number(1).await;
    assert_eq!(pending.await.unwrap().producer_id.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_closed_before_a_load_balancer_drops_it() {
    let (_client, connection, _peer) = connected().await;
    let start = Instant::now();
    let failure = connection.closed().await;
    let after = Duration::from_secs(180);
    assert_eq!(failure, ConnectionFailure::Idle { after });
    assert!(failure.is_intended());
    assert_eq!(start.elapsed(), after);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_the_question_ends_the_connection() {
    let (_client, connection, mut peer) = connected().await;
    let check = |answer: &wolff_client::codec::messages::InitProducerIdResponse| {
        if answer.producer_id.0 == 1 {
            Ok(())
        } else {
            Err("not the first".to_owned())
        }
    };
    let first = connection.start_checked(&question(), check).unwrap();
    let second = connection.start_checked(&question(), check).unwrap();
    peer.answer_number(1).await;
    peer.answer_number(2).await;
    assert_eq!(first.await.unwrap().producer_id.0, 1);
    let what = "not the first".to_owned();
    let violation = ProtocolViolation::Mismatch {
        api: ApiKey::INIT_PRODUCER_ID,
        what,
    };
    let failure = ConnectionFailure::Protocol(violation);
    assert_eq!(lost(second.await.unwrap_err()), (true, failure));
}

#[tokio::test]
async fn a_frame_above_the_limit_ends_the_connection_before_it_is_there() {
    let mut config = ClientConfig::default();
    config.max_frame_bytes = 10_000;
    let (_client, connection, mut peer) =
        connected_with(100, |builder| builder.config(config)).await;
    peer.send(&10_001_u32.to_be_bytes()).await;
    let failure = connection.closed().await;
    assert!(matches!(
        failure,
        ConnectionFailure::Protocol(ProtocolViolation::Frame(_))
    ));
}

#[tokio::test]
async fn dropping_an_answer_does_not_shift_the_others() {
    let (_client, connection, mut peer) = connected().await;
    let first = connection.start(&question()).unwrap();
    let second = connection.start(&question()).unwrap();
    drop(first);
    peer.answer_number(1).await;
    peer.answer_number(2).await;
    assert_eq!(second.await.unwrap().producer_id.0, 2);
}

#[tokio::test]
async fn an_answer_comes_in_while_a_write_is_stuck() {
    let (_client, connection, mut peer) = connected_with(256, |builder| builder).await;
    let first = connection.start(&question()).unwrap();
    let asked = peer.expect::<InitProducerIdRequest>().await;
    let large = InitProducerIdRequest {
        transactional_id: Some("x".repeat(10_000).into()),
        ..question()
    };
    let second = connection.start(&large).unwrap();
    tokio::task::yield_now().await;
    peer.answer(asked.id, asked.version, &numbered(1)).await;
    assert_eq!(first.await.unwrap().producer_id.0, 1);
    peer.answer_number(2).await;
    assert_eq!(second.await.unwrap().producer_id.0, 2);
}

#[tokio::test]
async fn an_unacknowledged_request_is_done_when_its_last_byte_is_taken() {
    let (_client, connection, mut peer) = connected_with(16, |builder| builder).await;
    let mut sent = connection.start_unacknowledged(&produce(0)).unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    tokio::select! {
        biased;
        outcome = &mut sent => panic!("the pipe cannot have taken it: {outcome:?}"),
        () = tokio::task::yield_now() => {}
    }
    let asked = peer.expect::<ProduceRequest>().await;
    assert_eq!(asked.request.acks, 0);
    sent.await.unwrap();
    // No answer is expected, and the next one belongs to the next question.
    let pending = connection.start(&question()).unwrap();
    peer.answer_number(1).await;
    assert_eq!(pending.await.unwrap().producer_id.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_no_bytes_is_given_up() {
    let (_client, connection, _peer) = connected_with(16, |builder| builder).await;
    let sent = connection.start_unacknowledged(&produce(0)).unwrap();
    let after = Duration::from_secs(30);
    let expected = (false, ConnectionFailure::WriteStalled { after });
    assert_eq!(lost(sent.await.unwrap_err()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_connection_is_muted_and_resends_nothing() {
    let (_client, connection, mut peer) = connected().await;
    let first = connection.start(&produce(-1)).unwrap();
    let second = connection.start(&produce(-1)).unwrap();
    let one = peer.expect::<ProduceRequest>().await;
    let two = peer.expect::<ProduceRequest>().await;
    peer.answer(one.id, one.version, &produced(40_000)).await;
    first.await.unwrap();

    let start = Instant::now();
    let third = connection.start(&produce(-1)).unwrap();
    let three = peer.expect::<ProduceRequest>().await;
    assert_eq!(start.elapsed(), Duration::from_secs(40));
    // The second request's clock did not run while the broker did not read.
    advance(Duration::from_secs(29)).await;
    peer.answer(two.id, two.version, &produced(0)).await;
    second.await.unwrap();
    peer.answer(three.id, three.version, &produced(0)).await;
    third.await.unwrap();
}

#[tokio::test]
async fn a_full_queue_refuses_and_has_room_again() {
    let mut config = ClientConfig::default();
    config.max_queued_requests = 2;
    let (_client, connection, mut peer) =
        connected_with(1_000, |builder| builder.config(config)).await;
    let first = connection.start(&question()).unwrap();
    let second = connection.start(&question()).unwrap();
    let refused = connection.start(&question()).unwrap_err();
    assert!(
        refused.is_queue_full() && !refused.is_in_doubt(),
        "{refused}"
    );
    let third = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request(&question()).await }
    });
    for number in 1..=3 {
        peer.answer_number(number).await;
    }
    assert_eq!(first.await.unwrap().producer_id.0, 1);
    assert_eq!(second.await.unwrap().producer_id.0, 2);
    assert_eq!(third.await.unwrap().unwrap().producer_id.0, 3);
}

#[tokio::test]
async fn waiting_bytes_are_bounded_but_one_large_request_passes() {
    let mut config = ClientConfig::default();
    config.max_queued_bytes = 100;
    let (_client, connection, _peer) = connected_with(16, |builder| builder.config(config)).await;
    let large = InitProducerIdRequest {
        transactional_id: Some("x".repeat(1_000).into()),
        ..question()
    };
    let _first = connection.start(&large).unwrap();
    let refused = connection.start(&large).unwrap_err();
    assert!(
        refused.is_queue_full() && !refused.is_in_doubt(),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn there_is_room_again_as_soon_as_bytes_go_out_and_not_only_when_an_answer_comes() {
    let mut config = ClientConfig::default();
    config.max_queued_bytes = 100;
    let (_client, connection, _silent) =
        connected_with(1 << 16, |builder| builder.config(config)).await;
    let mut pending = Vec::new();
    while let Ok(one) = connection.start(&question()) {
        pending.push(one);
    }
    assert!(pending.len() > 1);
    let begin = Instant::now();
    connection.ready().await;
    assert!(connection.start(&question()).is_ok());
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_in_an_almost_full_queue_does_not_try_again_and_again() {
    let mut config = ClientConfig::default();
    config.max_queued_bytes = 1_000;
    let (_client, connection, mut peer) =
        connected_with(16, |builder| builder.config(config)).await;
    let sized = |bytes| InitProducerIdRequest {
        transactional_id: Some("x".repeat(bytes).into()),
        ..question()
    };
    // The first one is stuck in the stream, the second leaves a little room.
    let _first = connection.start(&sized(10)).unwrap();
    tokio::task::yield_now().await;
    let _second = connection.start(&sized(700)).unwrap();
    let larger = sized(500);
    let mut third = pin!(connection.request(&larger));
    let polls = poll_fn(|context| Poll::Ready(third.as_mut().poll(context).is_pending()));
    assert!(polls.await, "it does not even come back");
    // Somebody with less to say is not kept waiting by that.
    let _fourth = connection.start(&question()).unwrap();
    let broker = async {
        for number in 1..=4 {
            peer.answer_number(number).await;
        }
    };
    let (answer, ()) = tokio::join!(third, broker);
    assert_eq!(answer.unwrap().producer_id.0, 4);
}

#[tokio::test]
async fn the_last_clone_of_a_client_takes_its_metadata_connection_with_it() {
    let (client, connection, mut peer) = connected().await;
    let pending = connection.start(&question()).unwrap();
    drop(client);
    assert_eq!(
        lost(pending.await.unwrap_err()).1,
        ConnectionFailure::ClosedHere
    );
    while peer.frame().await.is_some() {}
}

#[tokio::test]
async fn closing_tells_everybody() {
    let (_client, connection, mut peer) = connected().await;
    let pending = connection.start(&question()).unwrap();
    let closed = tokio::spawn({
        let connection = connection.clone();
        async move { connection.closed().await }
    });
    peer.expect::<InitProducerIdRequest>().await;
    connection.close();
    assert_eq!(
        lost(pending.await.unwrap_err()),
        (true, ConnectionFailure::ClosedHere)
    );
    assert_eq!(closed.await.unwrap(), ConnectionFailure::ClosedHere);
    assert_eq!(peer.frame().await, None);
    // The first failure is the one that stays.
    assert_eq!(connection.closed().await, ConnectionFailure::ClosedHere);
}

#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (_client, connection, mut peer) = runtime.block_on(connected());
    let pending = connection.start(&question()).unwrap();
    runtime.block_on(peer.expect::<InitProducerIdRequest>());
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let outcome = other.block_on(pending);
    assert_eq!(
        lost(outcome.unwrap_err()),
        (true, ConnectionFailure::RuntimeEnded)
    );
    drop(peer);
}

#[tokio::test]
async fn what_is_not_known_to_the_broker_is_not_sent() {
    use wolff_client::codec::messages::FetchRequest;
    let (_client, connection, mut peer) = connected().await;
    let refused = connection.start(&FetchRequest::default()).unwrap_err();
    assert!(matches!(refused.cause(), RequestCause::Unsupported(_)));
    assert!(!refused.is_in_doubt());
    assert!(connection.version::<FetchRequest>().is_err());
    assert_eq!(connection.version::<InitProducerIdRequest>(), Ok(5));
    // The connection is as good as before.
    let pending = connection.start(&question()).unwrap();
    peer.answer_number(1).await;
    pending.await.unwrap();
    peer.stream.shutdown().await.unwrap();
    assert_eq!(connection.closed().await, ConnectionFailure::ClosedByPeer);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_stops_in_the_middle_is_awaited_no_longer_than_one_that_never_begins() {
    for received in [0, 1, 4, 8] {
        let (_client, connection, mut peer) = connected().await;
        let pending = connection.start(&question()).unwrap();
        assert!(peer.frame().await.is_some());
        peer.send(&[0, 0, 0, 30, 0, 0, 0, 1][..received]).await;
        let start = Instant::now();
        pending.await.unwrap_err();
        let waited = start.elapsed();
        assert!(
            (29..=31).contains(&waited.as_secs()),
            "{received} bytes: {waited:?}"
        );
    }
}
