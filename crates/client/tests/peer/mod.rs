//! A network made of memory, and brokers that say what a test tells them to say.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests, of which each test file uses a part"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use wolff_client::codec::messages::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, CreatableTopic, CreatableTopicResult,
    CreateTopicsRequest, CreateTopicsResponse, DeletableTopicResult, DeleteTopicState,
    DeleteTopicsRequest, DeleteTopicsResponse, DescribeConfigsRequest, InitProducerIdRequest,
    InitProducerIdResponse, ListOffsetsRequest, MetadataRequest, MetadataResponse,
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic, ProduceRequest,
    ProduceResponse, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use wolff_client::codec::{
    ApiKey, BrokerId, CorrelationId, FrameSplitter, LeaderEpoch, Message, PartitionId, ProducerId,
    Request, TopicId, decode_request_header, encode_response,
};
use wolff_client::{
    Address, BoxStream, Client, ClientBuilder, Connection, Dial, DialFuture, HostReason, Stream,
};

/// Bytes that the memory between the two sides holds, unless a test says otherwise.
const PIPE_BYTES: usize = 64 * 1024;

/// Where dialled streams come out.
#[derive(Clone, Debug, Default)]
pub struct Network {
    hosts: Arc<Mutex<HashMap<Address, Host>>>,
}

#[derive(Debug)]
enum Host {
    Listens {
        pipe_bytes: usize,
        accepts: mpsc::UnboundedSender<DuplexStream>,
    },
    Silent,
}

/// One listening port of the network.
#[derive(Debug)]
pub struct Listener {
    pub address: Address,
    incoming: mpsc::UnboundedReceiver<DuplexStream>,
}

impl Network {
    pub fn listen(&self, host: &str) -> Listener {
        self.listen_with(host, PIPE_BYTES)
    }

    pub fn listen_with(&self, host: &str, pipe_bytes: usize) -> Listener {
        let address = Address::new(host, 9092);
        let (accepts, incoming) = mpsc::unbounded_channel();
        let listens = Host::Listens {
            pipe_bytes,
            accepts,
        };
        self.hosts.lock().unwrap().insert(address.clone(), listens);
        Listener { address, incoming }
    }

    /// Whoever connects there hears nothing.
    pub fn black_hole(&self, host: &str) {
        let address = Address::new(host, 9092);
        self.hosts.lock().unwrap().insert(address, Host::Silent);
    }

    pub fn client(&self, hosts: &str) -> ClientBuilder {
        crate::trace::begin();
        Client::builder([hosts]).dialer(self.clone())
    }
}

impl Dial for Network {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        let outcome = match self.hosts.lock().unwrap().get(address) {
            None => Err(HostReason::Refused),
            Some(Host::Silent) => return Box::pin(std::future::pending()),
            Some(Host::Listens {
                pipe_bytes,
                accepts,
            }) => {
                let (here, there) = duplex(*pipe_bytes);
                match accepts.send(there) {
                    Ok(()) => Ok(Box::new(here) as BoxStream),
                    Err(_closed) => Err(HostReason::Refused),
                }
            }
        };
        Box::pin(std::future::ready(outcome))
    }
}

impl Listener {
    pub async fn accept(&mut self) -> Peer {
        let stream = self.accept_stream().await;
        Peer::over(stream)
    }

    /// As [`Listener::accept`], or nothing when nobody can dial any more.
    pub async fn accept_or_end(&mut self) -> Option<Peer> {
        self.incoming.recv().await.map(Peer::over)
    }

    /// Accepts, and leaves it to the test what the stream carries.
    pub async fn accept_stream(&mut self) -> DuplexStream {
        self.incoming.recv().await.expect("the network is there")
    }

    /// Accepts, and answers the handshake.
    pub async fn accept_ready(&mut self) -> Peer {
        let mut peer = self.accept().await;
        peer.shake_hands().await;
        peer
    }

    /// True if nobody has dialled since the last accept.
    pub fn is_quiet(&mut self) -> bool {
        self.incoming.try_recv().is_err()
    }
}

/// The broker's end of a connection.
pub struct Peer {
    pub stream: BoxStream,
    received: BytesMut,
}

/// A request as the broker sees it.
#[derive(Debug)]
pub struct Asked<R> {
    pub version: i16,
    pub id: CorrelationId,
    pub client_id: Option<String>,
    pub request: R,
}

impl Peer {
    /// A broker at that end of a stream.
    pub fn over(stream: impl Stream) -> Self {
        Self {
            stream: Box::new(stream),
            received: BytesMut::new(),
        }
    }

    pub async fn shake_hands(&mut self) {
        let asked = self.expect::<ApiVersionsRequest>().await;
        self.answer(asked.id, asked.version, &all_versions()).await;
    }

    /// The next frame, `None` at the end of the stream.
    pub async fn frame(&mut self) -> Option<Bytes> {
        let splitter = FrameSplitter::new(1 << 30);
        loop {
            if let Some(frame) = splitter.next_frame(&mut self.received).unwrap() {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next request, which must be an `R`.
    pub async fn expect<R: Request>(&mut self) -> Asked<R> {
        let frame = self.frame().await.expect("a request, not the end");
        let (header, body) = decode_request_header(&frame).unwrap();
        assert_eq!(header.api_key, R::API_KEY);
        Asked {
            version: header.api_version,
            id: header.correlation_id,
            client_id: header.client_id.map(|id| id.to_string()),
            request: R::decode(&body, header.api_version).unwrap(),
        }
    }

    pub async fn answer<M: Message>(&mut self, id: CorrelationId, version: i16, answer: &M) {
        self.send(&frame(id, version, answer)).await;
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Answers the next InitProducerId with that id.
    pub async fn answer_number(&mut self, number: i64) {
        let asked = self.expect::<InitProducerIdRequest>().await;
        self.answer(asked.id, asked.version, &numbered(number))
            .await;
    }

    /// Answers the next question for metadata.
    pub async fn answer_metadata(&mut self, answer: &MetadataResponse) -> MetadataRequest {
        let asked = self.expect::<MetadataRequest>().await;
        self.answer(asked.id, asked.version, answer).await;
        asked.request
    }

    /// Answers everything that comes, with the same metadata, until the stream ends.
    pub async fn serve(self, metadata: MetadataResponse) {
        self.serve_by(move || metadata.clone()).await;
    }

    /// As [`Peer::serve`], with metadata that is made for each question.
    pub async fn serve_by(mut self, metadata: impl Fn() -> MetadataResponse) {
        while let Some(frame) = self.frame().await {
            let (header, body) = decode_request_header(&frame).unwrap();
            let (id, version) = (header.correlation_id, header.api_version);
            match header.api_key {
                ApiKey::API_VERSIONS => self.answer(id, version, &all_versions()).await,
                ApiKey::METADATA => self.answer(id, version, &metadata()).await,
                ApiKey::INIT_PRODUCER_ID => self.answer(id, version, &numbered(1)).await,
                ApiKey::CREATE_TOPICS => {
                    let asked = CreateTopicsRequest::decode(&body, version).unwrap();
                    self.answer(id, version, &created(&asked)).await;
                }
                ApiKey::DELETE_TOPICS => {
                    let asked = DeleteTopicsRequest::decode(&body, version).unwrap();
                    self.answer(id, version, &deleted(&asked)).await;
                }
                other => panic!("{other} is not served"),
            }
        }
    }
}

/// All that was asked for is there.
fn created(asked: &CreateTopicsRequest) -> CreateTopicsResponse {
    let result = |topic: &CreatableTopic| CreatableTopicResult {
        name: topic.name.clone(),
        ..Default::default()
    };
    CreateTopicsResponse {
        topics: asked.topics.iter().map(result).collect(),
        ..Default::default()
    }
}

/// All that was asked for is gone.
fn deleted(asked: &DeleteTopicsRequest) -> DeleteTopicsResponse {
    let result = |topic: &DeleteTopicState| DeletableTopicResult {
        name: topic.name.clone(),
        ..Default::default()
    };
    DeleteTopicsResponse {
        responses: asked.topics.iter().map(result).collect(),
        ..Default::default()
    }
}

/// A whole frame with its length prefix.
pub fn frame<M: Message>(id: CorrelationId, version: i16, answer: &M) -> Bytes {
    encode_response(answer, version, id).unwrap().to_bytes()
}

/// The smallest question that has an answer with a number in it, which tells answers apart.
pub fn question() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transaction_timeout_ms: 1_000,
        ..Default::default()
    }
}

pub fn numbered(number: i64) -> InitProducerIdResponse {
    InitProducerIdResponse {
        producer_id: ProducerId(number),
        ..Default::default()
    }
}

/// Every API that the tests speak, in all versions.
pub fn all_versions() -> ApiVersionsResponse {
    fn range<R: Request>() -> ApiVersion {
        ApiVersion {
            api_key: R::API_KEY,
            min_version: *R::VERSIONS.start(),
            max_version: *R::VERSIONS.end(),
            ..Default::default()
        }
    }
    ApiVersionsResponse {
        api_keys: vec![
            range::<ProduceRequest>(),
            range::<MetadataRequest>(),
            range::<ApiVersionsRequest>(),
            range::<InitProducerIdRequest>(),
            range::<SaslHandshakeRequest>(),
            range::<SaslAuthenticateRequest>(),
            range::<CreateTopicsRequest>(),
            range::<DeleteTopicsRequest>(),
            range::<ListOffsetsRequest>(),
            range::<DescribeConfigsRequest>(),
        ],
        ..Default::default()
    }
}

/// Metadata of brokers that all listen at port 9092, and of topics.
pub fn metadata(
    brokers: &[(i32, &str)],
    topics: impl IntoIterator<Item = MetadataResponseTopic>,
) -> MetadataResponse {
    let broker = |(id, host): &(i32, &str)| MetadataResponseBroker {
        node_id: BrokerId(*id),
        host: (*host).into(),
        port: 9092,
        ..Default::default()
    };
    MetadataResponse {
        brokers: brokers.iter().map(broker).collect(),
        controller_id: brokers
            .first()
            .map_or(BrokerId::NONE, |(id, _)| BrokerId(*id)),
        topics: topics.into_iter().collect(),
        ..Default::default()
    }
}

/// A topic whose partitions are led by these brokers in these epochs.
pub fn topic(name: &str, leaders: &[(i32, i32)]) -> MetadataResponseTopic {
    let partition = |(index, (leader, epoch)): (usize, &(i32, i32))| MetadataResponsePartition {
        partition_index: PartitionId(i32::try_from(index).unwrap()),
        leader_id: BrokerId(*leader),
        leader_epoch: LeaderEpoch(*epoch),
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some(name.into()),
        topic_id: TopicId([7; 16]),
        partitions: leaders.iter().enumerate().map(partition).collect(),
        ..Default::default()
    }
}

pub fn produce(acks: i16) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 1_000,
        ..Default::default()
    }
}

pub fn produced(throttle_time_ms: i32) -> ProduceResponse {
    ProduceResponse {
        throttle_time_ms,
        ..Default::default()
    }
}

/// A client and a peer with a connection between them that is ready.
pub async fn connected() -> (Client, Connection, Peer) {
    connected_with(PIPE_BYTES, |builder| builder).await
}

pub async fn connected_with(
    pipe_bytes: usize,
    configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> (Client, Connection, Peer) {
    let network = Network::default();
    let mut listener = network.listen_with("kafka", pipe_bytes);
    let client = configure(network.client("kafka")).build().unwrap();
    let (connection, peer) = tokio::join!(client.any_connection(), listener.accept_ready());
    (client, connection.unwrap(), peer)
}
