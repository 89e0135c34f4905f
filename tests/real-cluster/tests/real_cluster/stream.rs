//! A stream of records that never ends by itself, through a producer with its defaults: strict
//! order, each record once. It goes on whatever happens to the nodes, and afterwards everything is
//! there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::message::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use wolff::{Client, Offset, Producer, Receipt, Record};
use wolff_end_to_end::consumer;

use crate::nodes::{Listener, Nodes, PATIENCE, in_time};

/// Records that are on their way.
const ON_THE_WAY: usize = 300;

/// Records to the one partition of a topic, one after the other.
pub(crate) struct Stream {
    topic: String,
    is_over: Arc<AtomicBool>,
    acked: watch::Receiver<u64>,
    sending: JoinHandle<u64>,
    acking: JoinHandle<()>,
}

impl Stream {
    /// Begins.
    pub(crate) async fn start(client: &Client, topic: &str) -> Self {
        let producer = Producer::builder(client, topic).start().await.unwrap();
        let (receipts, mut waiting) = mpsc::channel::<Receipt>(ON_THE_WAY);
        let (count, acked) = watch::channel(0);
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let sending = tokio::spawn(async move {
            let mut sent = 0_u64;
            while !until.load(Ordering::Relaxed) {
                let record = Record::new().value(sent.to_string());
                let receipt = producer.send(record).await.unwrap();
                receipts.send(receipt).await.unwrap();
                sent += 1;
            }
            producer.flush(PATIENCE).await.unwrap();
            drop(receipts);
            producer.stop(Duration::ZERO).await.unwrap();
            sent
        });
        let acking = tokio::spawn(async move {
            let mut expected = 0;
            while let Some(receipt) = waiting.recv().await {
                let ack = receipt.await.unwrap();
                assert_eq!(
                    ack.offset,
                    Some(Offset(expected)),
                    "lost, doubled or out of order"
                );
                expected += 1;
                count.send_modify(|count| *count += 1);
            }
        });
        Self {
            topic: topic.to_owned(),
            is_over,
            acked,
            sending,
            acking,
        }
    }

    /// Waits until a good many records are acknowledged that were not when it was called; says how
    /// long that took.
    pub(crate) async fn flows(&mut self) -> Duration {
        let begin = std::time::Instant::now();
        let now = *self.acked.borrow();
        // Those on the way may have been sent before.
        let enough = now + 2 * u64::try_from(ON_THE_WAY).unwrap();
        let acked = in_time(self.acked.wait_for(|acked| *acked >= enough)).await;
        acked.unwrap();
        begin.elapsed()
    }

    /// Ends, and checks what an independent consumer sees. Gives the number of records.
    pub(crate) async fn finish(self, nodes: &Nodes) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = in_time(self.sending).await.unwrap();
        in_time(self.acking).await.unwrap();
        let (brokers, topic) = (
            nodes.addresses(Listener::Plaintext).join(","),
            self.topic.clone(),
        );
        let read = tokio::task::spawn_blocking(move || {
            let mut next = 0_u64;
            consumer::read_all(&brokers, &topic, |message| {
                let text = std::str::from_utf8(message.payload().unwrap_or_default())?;
                assert_eq!(text, next.to_string());
                next += 1;
                Ok(())
            })
            .map(|_| next)
        });
        assert_eq!(in_time(read).await.unwrap().unwrap(), sent);
        sent
    }
}
