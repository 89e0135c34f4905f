//! A client without any wits: one request, one answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;
use wolff_codec::ids::{BrokerId, CorrelationId, PartitionId};
use wolff_codec::messages::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use wolff_codec::wire::Chunks;
use wolff_codec::{FrameSplitter, Request, Str, decode_response, encode_request};
use wolff_testbroker::Cluster;

/// Beyond this a test is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) struct Client {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    last_correlation_id: i32,
}

impl Client {
    /// Connects to a broker.
    pub(crate) async fn connect(cluster: &Cluster, broker: i32) -> Self {
        Self::connect_to(cluster.addresses()[&BrokerId(broker)]).await
    }

    /// Connects to an address.
    pub(crate) async fn connect_to(address: impl ToSocketAddrs) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .unwrap()
            .unwrap();
        Self::over(stream)
    }

    /// Speaks over a stream that is connected.
    pub(crate) fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: BytesMut::new(),
            last_correlation_id: 0,
        }
    }

    /// Sends a request, and returns its answer.
    pub(crate) async fn request<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let answer = self.try_request(request, version).await;
        answer.unwrap_or_else(|| {
            panic!("connection closed instead of an answer to {request:?} v{version}")
        })
    }

    /// Sends a request, and returns its answer; none if the broker closes the connection instead.
    pub(crate) async fn try_request<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Option<R::Response> {
        let correlation_id = self.send(request, version).await;
        let frame = self.receive().await?;
        let (answered, response) = decode_response(&frame, version).unwrap();
        assert_eq!(answered, correlation_id);
        Some(response)
    }

    /// Sends a request.
    pub(crate) async fn send<R: Request>(&mut self, request: &R, version: i16) -> CorrelationId {
        self.last_correlation_id += 1;
        let correlation_id = CorrelationId(self.last_correlation_id);
        let frame = encode_request(request, version, correlation_id, Some("test")).unwrap();
        self.send_raw(&frame.to_bytes()).await;
        correlation_id
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .unwrap()
            .unwrap();
    }

    /// The next frame, without its length; none if the connection ends before it.
    pub(crate) async fn receive(&mut self) -> Option<Bytes> {
        let splitter = FrameSplitter::new(64 << 20);
        loop {
            if let Some(frame) = splitter.next_frame(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            match timeout(PATIENCE, self.stream.read_buf(&mut self.buffer))
                .await
                .unwrap()
            {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Bytes that have come of a frame that is not whole.
    pub(crate) fn leftover(&self) -> &[u8] {
        &self.buffer
    }

    /// Produces one batch, acks=all, in version 9.
    pub(crate) async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> PartitionProduceResponse {
        let response = self
            .request(&produce_request(topic, partition, batch), 9)
            .await;
        response.responses[0].partition_responses[0].clone()
    }
}

/// A request to produce one batch, acks=all.
pub(crate) fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: Str::from(topic),
            partition_data: vec![PartitionProduceData {
                index: PartitionId(partition),
                records: Some(Chunks::from(batch)),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The values of a partition's records, as text.
pub(crate) fn values(cluster: &Cluster, topic: &str, partition: i32) -> Vec<String> {
    let records = cluster.records(topic, partition).unwrap();
    let value = |record: wolff_codec::records::Record| record.value.unwrap().to_vec();
    records
        .into_iter()
        .map(value)
        .map(|value| String::from_utf8(value).unwrap())
        .collect()
}
