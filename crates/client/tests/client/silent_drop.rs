//! Connections that are dropped on the way without a word while nobody uses them, as load balancers
//! and firewalls do it: the whole path from a record to its acknowledgement, under a paused clock.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, advance};
use wolff_client::codec::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wolff_client::codec::records::{BatchHeader, RecordRef, encode_batch};
use wolff_client::codec::{ErrorCode, PartitionId};
use wolff_client::{Address, BoxStream, Client, Dial, DialFuture, HostReason};
use wolff_testbroker::{Cluster, MemoryNetwork};

const P0: PartitionId = PartitionId(0);

/// A network that forgets the connections which are open when the epoch changes: what is written to
/// them is gone, and nothing comes from them.
#[derive(Clone)]
struct Forgetful {
    network: MemoryNetwork,
    epoch: Arc<AtomicU32>,
}

impl std::fmt::Debug for Forgetful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forgetful").finish_non_exhaustive()
    }
}

impl Forgetful {
    fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }
}

impl Dial for Forgetful {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        let connected = self.network.connect(address.host(), address.port());
        let connected = connected
            .map(|stream| {
                let inner: BoxStream = Box::new(stream);
                let epoch = Arc::clone(&self.epoch);
                let opened_in = epoch.load(Ordering::Relaxed);
                Box::new(Forgotten {
                    inner,
                    epoch,
                    opened_in,
                }) as BoxStream
            })
            .map_err(|_| HostReason::Refused);
        Box::pin(std::future::ready(connected))
    }
}

struct Forgotten {
    inner: BoxStream,
    epoch: Arc<AtomicU32>,
    opened_in: u32,
}

impl Forgotten {
    fn is_gone(&self) -> bool {
        self.epoch.load(Ordering::Relaxed) != self.opened_in
    }
}

impl AsyncRead for Forgotten {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_gone() {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Forgotten {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_gone() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_gone() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_gone() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

async fn scene() -> (Cluster, Forgetful, Client) {
    let network = MemoryNetwork::new();
    let cluster = Cluster::builder().network(&network).topic("t", 1).start();
    let cluster = cluster.await.unwrap();
    let dialer = Forgetful {
        network,
        epoch: Arc::default(),
    };
    // Every other option is the default, since it is the defaults that this is about.
    let client = Client::builder([cluster.bootstrap()]).dialer(dialer.clone());
    (cluster, dialer, client.build().unwrap())
}

/// Sends a record as a producer does: what was not sent is sent on the next connection.
async fn send(client: &Client) -> u32 {
    let record = RecordRef {
        value: Some(b"howl"),
        ..RecordRef::default()
    };
    let batch = encode_batch(&BatchHeader::default(), [record]).unwrap();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let leader = client.leader_connection("t", P0).await.unwrap();
        let data = PartitionProduceData {
            index: P0,
            records: Some(batch.clone().into()),
            ..PartitionProduceData::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: "t".into(),
                topic_id: leader.topic_id,
                partition_data: vec![data],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        match leader.connection.request(&request).await {
            Ok(response) => {
                let outcome = &response.responses[0].partition_responses[0];
                assert_eq!(outcome.error_code, ErrorCode::NONE);
                return attempts;
            }
            Err(error) => assert!(!error.is_in_doubt(), "{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_after_three_seconds_on_a_dropped_connection_is_through_within_five() {
    for idle in [3, 25, 170] {
        let (cluster, network, client) = scene().await;
        send(&client).await;
        network.forget();
        advance(Duration::from_secs(idle)).await;
        let start = Instant::now();
        send(&client).await;
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "after {idle} s: {took:?}");
        assert_eq!(cluster.records("t", 0).unwrap().len(), 2, "no copy");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_in_use_is_not_probed() {
    let (cluster, _network, client) = scene().await;
    for _ in 0..20 {
        assert_eq!(send(&client).await, 1);
        advance(Duration::from_millis(1_900)).await;
    }
    let handshakes = cluster
        .stats()
        .requests(wolff_client::codec::ApiKey::API_VERSIONS);
    advance(Duration::from_millis(200)).await;
    assert_eq!(send(&client).await, 1);
    let now = cluster
        .stats()
        .requests(wolff_client::codec::ApiKey::API_VERSIONS);
    assert_eq!(
        now,
        handshakes + 1,
        "one round trip is the price of 2 s without a request"
    );
    assert_eq!(cluster.records("t", 0).unwrap().len(), 21);
}
