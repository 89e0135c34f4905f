//! Every length of every response that the client reads, with every hostile value in its place,
//! over TCP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::time::timeout;
use wolff_client::codec::messages::{
    ApiVersionsResponse, CreateTopicsResponse, DeleteTopicsResponse, InitProducerIdRequest,
    InitProducerIdResponse, MetadataResponse, PartitionProduceData, ProduceRequest,
    ProduceResponse, SaslAuthenticateResponse, SaslHandshakeResponse, TopicProduceData,
};
use wolff_client::codec::{Message, PartitionId, decode_response};
use wolff_client::{Client, ClientBuilder, Credentials, NewTopic, Sasl, SecurityProtocol};
use wolff_testbroker::{Cluster, Fault, Sasl as Users, SaslMechanism};

use crate::lengths::lengths_of;
use crate::line::{PATIENCE, client_of};

/// Most polls of streams for one lie and the truth after it. A broker that does not lie takes about
/// 15, the worst lie about 30; a busy loop takes as many as there is time for.
const MAX_POLLS: usize = 150;

/// Most dials by the client for one lie and the truth after it.
const MAX_DIALS: usize = 6;

async fn cluster() -> Cluster {
    Cluster::builder()
        .brokers(2)
        .topic("t", 2)
        .start()
        .await
        .unwrap()
}

/// The variants of a response, one of which is sent.
struct Spoiler {
    variant: AtomicUsize,
    /// The number that there are, when one has been sent.
    variants: AtomicUsize,
    sent: Mutex<Bytes>,
}

impl Spoiler {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            variant: AtomicUsize::new(0),
            variants: AtomicUsize::new(0),
            sent: Mutex::default(),
        })
    }

    fn spoil<M: Message>(&self, whole: &Bytes) -> Bytes {
        let frame = whole.slice(4..);
        let version = M::VERSIONS
            .rev()
            .find(|version| decode_response::<M>(&frame, *version).is_ok())
            .unwrap();
        let lengths = lengths_of(&frame, |cut| decode_response::<M>(cut, version));
        assert!(!lengths.is_empty());
        let spoiled: Vec<Bytes> = lengths
            .into_iter()
            .flat_map(|length| length.spoiled(&frame))
            .collect();
        self.variants.store(spoiled.len(), Ordering::Relaxed);
        let chosen = spoiled[self.variant.load(Ordering::Relaxed)].clone();
        *self.sent.lock() = chosen.clone();
        framed(&chosen)
    }
}

/// The frame with its length in front of it.
fn framed(frame: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(4 + frame.len());
    whole.put_u32(u32::try_from(frame.len()).unwrap());
    whole.extend_from_slice(frame);
    whole.freeze()
}

/// Sends every variant of the answer that `ask` makes the client read: it must come to an end, and
/// the client must work afterwards.
async fn survives_all<M: Message + 'static>(
    cluster: &Cluster,
    fill: impl Fn(&mut M) + Copy + Send + Sync + 'static,
    ask: impl AsyncFn(&Client),
) {
    survives_all_as::<M>(cluster, |builder| builder, fill, ask).await;
}

/// The same with a client that is set up like this.
async fn survives_all_as<M: Message + 'static>(
    cluster: &Cluster,
    set_up: impl Fn(ClientBuilder) -> ClientBuilder,
    fill: impl Fn(&mut M) + Copy + Send + Sync + 'static,
    ask: impl AsyncFn(&Client),
) {
    let spoiler = Spoiler::new();
    loop {
        let sender = Arc::clone(&spoiler);
        cluster.inject(Fault::edit_answer(fill));
        let fault = cluster
            .inject(Fault::mangle_answer(move |whole| sender.spoil::<M>(&whole)).api(M::API_KEY));
        let (client, line) = client_of(cluster.bootstrap());
        let client = set_up(client).build().unwrap();
        let lie = timeout(PATIENCE, ask(&client)).await;
        let sent = spoiler.sent.lock().clone();
        assert!(lie.is_ok(), "{}: stuck after {sent:?}", M::API_KEY);
        assert_eq!(cluster.stats().hits(fault), 1, "{}", M::API_KEY);
        cluster.clear_faults();
        let truth = async {
            while client.topic("t").await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let truth = timeout(PATIENCE, truth).await;
        assert!(truth.is_ok(), "{}: no way back after {sent:?}", M::API_KEY);
        assert!(
            line.polls() <= MAX_POLLS && line.dials() <= MAX_DIALS,
            "{}: {} polls, {} dials for {sent:?}",
            M::API_KEY,
            line.polls(),
            line.dials()
        );
        let next = spoiler.variant.fetch_add(1, Ordering::Relaxed) + 1;
        if next >= spoiler.variants.load(Ordering::Relaxed) {
            break;
        }
    }
    assert!(spoiler.variants.load(Ordering::Relaxed) >= 8);
}

#[tokio::test]
async fn lengths_in_api_versions() {
    let cluster = cluster().await;
    // Fewer APIs are as good: each is the same to the reader.
    let fill = |answer: &mut ApiVersionsResponse| {
        answer
            .api_keys
            .retain(|api| [0, 3, 18].contains(&api.api_key.0));
    };
    survives_all(&cluster, fill, async |client| {
        let _ = client.check_connectivity().await;
    })
    .await;
}

#[tokio::test]
async fn lengths_in_metadata() {
    let cluster = cluster().await;
    let fill = |answer: &mut MetadataResponse| {
        for broker in &mut answer.brokers {
            broker.rack = Some("rack".into());
        }
    };
    survives_all(&cluster, fill, async |client| {
        let _ = client.topic("t").await;
    })
    .await;
}

#[tokio::test]
async fn lengths_in_the_answers_of_the_controller() {
    let cluster = cluster().await;
    let created = |answer: &mut CreateTopicsResponse| {
        for topic in &mut answer.topics {
            topic.error_message = Some("message".into());
        }
    };
    survives_all(&cluster, created, async |client| {
        let _ = client
            .create_topic(&NewTopic::new("n"), Duration::from_secs(1))
            .await;
    })
    .await;
    let deleted = |answer: &mut DeleteTopicsResponse| {
        for topic in &mut answer.responses {
            topic.error_message = Some("message".into());
        }
    };
    survives_all(&cluster, deleted, async |client| {
        let _ = client.delete_topic("n", Duration::from_secs(1)).await;
    })
    .await;
}

#[tokio::test]
async fn lengths_in_init_producer_id() {
    let cluster = cluster().await;
    let fill = |_: &mut InitProducerIdResponse| {};
    survives_all(&cluster, fill, async |client| {
        let connection = client.any_connection().await.unwrap();
        let _ = connection.request(&InitProducerIdRequest::default()).await;
    })
    .await;
}

#[tokio::test]
async fn lengths_in_produce_with_errors_and_hints() {
    let cluster = cluster().await;
    let fill = |answer: &mut ProduceResponse| {
        for topic in &mut answer.responses {
            for partition in &mut topic.partition_responses {
                partition.error_message = Some("message".into());
                partition.record_errors = vec![Default::default()];
                partition.current_leader.leader_id = 2.into();
            }
        }
        let mut endpoint = wolff_client::codec::messages::NodeEndpoint {
            node_id: 2.into(),
            ..Default::default()
        };
        endpoint.host = "localhost".into();
        endpoint.rack = Some("rack".into());
        answer.node_endpoints = vec![endpoint];
    };
    survives_all(&cluster, fill, async |client| {
        let leader = client.leader_connection("t", PartitionId(0)).await.unwrap();
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 1000,
            topic_data: vec![TopicProduceData {
                name: "t".into(),
                topic_id: leader.topic_id,
                // No records: the answer is an error, and has all its fields.
                partition_data: vec![PartitionProduceData::default()],
                ..Default::default()
            }],
            ..Default::default()
        };
        let _ = leader.connection.request(&request).await;
    })
    .await;
}

#[tokio::test]
async fn lengths_in_authentication() {
    let users = Users::new([SaslMechanism::Plain]).user("alice", "s3ntinel");
    let builder = Cluster::builder().topic("t", 1).sasl(users);
    let cluster = builder.start().await.unwrap();
    let alice = |builder: ClientBuilder| {
        let plain = Sasl::plain(Credentials::new("alice", "s3ntinel"));
        builder
            .security_protocol(SecurityProtocol::SaslPlaintext)
            .sasl(plain.allow_unencrypted_secrets())
    };
    let check = async |client: &Client| {
        let _ = client.check_connectivity().await;
    };
    let handshake = |_: &mut SaslHandshakeResponse| {};
    survives_all_as(&cluster, alice, handshake, check).await;
    let authenticate = |answer: &mut SaslAuthenticateResponse| {
        answer.error_message = Some("message".into());
    };
    survives_all_as(&cluster, alice, authenticate, check).await;
}
