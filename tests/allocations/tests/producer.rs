//! The producer allocates per batch, never per record: counted from the call to the
//! acknowledgement, with all that runs in between on the producer's side.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use tempfile::tempdir;
use tokio::runtime::{Builder, Runtime};
use wolff::{Client, Producer, ProducerBuilder, Receipt, RecordRef, Strategy};
use wolff_testbroker::Cluster;

/// Records of a measured run.
const RECORDS: usize = 20_000;

/// Allocations that a batch may cost: buffers, a request, an answer, and wakings. With 20,000
/// records of 116 bytes in two partitions there are some four batches; one allocation for each
/// hundredth record would be twice what all of them may cost.
const MOST_ALLOCATIONS: u64 = 1_000;

/// So long that batches are as large as they may be, also where each call is waited for.
const LINGER: Duration = Duration::from_millis(500);

/// A broker in threads of its own, which are not counted, and a producer in this one.
struct Bench {
    runtime: Runtime,
    producer: Producer,
    _brokers: (Runtime, Cluster),
}

impl Bench {
    fn new(configure: impl FnOnce(ProducerBuilder) -> ProducerBuilder) -> Self {
        let brokers = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let cluster = brokers
            .block_on(Cluster::builder().topic("events", 2).start())
            .unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let producer = runtime.block_on(async {
            let client = Client::builder([cluster.bootstrap()]).build().unwrap();
            let producer = Producer::builder(&client, "events")
                .partitioner(Strategy::MURMUR2)
                .max_linger(LINGER);
            configure(producer).start().await.unwrap()
        });
        Self {
            runtime,
            producer,
            _brokers: (brokers, cluster),
        }
    }

    /// Sends the records, `per_call` in one call, and waits for all acknowledgements.
    fn send(&self, receipts: &mut Vec<Receipt>, per_call: usize) {
        self.runtime.block_on(async {
            let keys: [&[u8]; 3] = [
                b"key-0000000000-a",
                b"key-0000000000-b",
                b"key-0000000000-c",
            ];
            for key in keys.into_iter().cycle().take(RECORDS / per_call) {
                let record = RecordRef {
                    timestamp_ms: 1_700_000_000_000,
                    key: Some(key),
                    value: Some(&[b'v'; 100]),
                    headers: &[],
                };
                let receipt = if per_call == 1 {
                    self.producer.send(record).await.unwrap()
                } else {
                    let call = &[record; 100][..per_call];
                    self.producer.send(call).await.unwrap()
                };
                receipts.push(receipt);
            }
            for receipt in receipts.drain(..) {
                receipt.await.unwrap();
            }
        });
    }

    /// Counts the allocations when everything is warm.
    fn allocations(&self, per_call: usize) -> AllocationInfo {
        let mut receipts = Vec::with_capacity(RECORDS);
        self.send(&mut receipts, per_call);
        measure(|| self.send(&mut receipts, per_call))
    }
}

#[test]
fn a_record_sent_alone_allocates_nothing() {
    let counted = Bench::new(|builder| builder).allocations(1);
    assert!(counted.count_total < MOST_ALLOCATIONS, "{counted:?}");
}

#[test]
fn records_of_one_call_allocate_nothing() {
    let counted = Bench::new(|builder| builder).allocations(100);
    assert!(counted.count_total < MOST_ALLOCATIONS, "{counted:?}");
}

#[test]
fn with_a_queue_on_disk_the_callers_thread_allocates_nothing_for_a_record() {
    let directory = tempdir().unwrap();
    let counted = Bench::new(|builder| builder.replayq_dir(directory.path())).allocations(100);
    assert!(counted.count_total < MOST_ALLOCATIONS, "{counted:?}");
}
