//! Calls to a producer.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use wolff::{Producer, Record, SendError};
use wolff_codec::ApiKey;
use wolff_testbroker::Fault;

use super::{History, PATIENCE};
use crate::ledger::{Stream, Violation, partition_id, value};
use crate::world::TOPIC;

/// Keys of the calls that name no partition.
const KEYS: u64 = 6;

/// Most bytes that a large value is longer than a small one.
const LARGE: u64 = 400;
impl History {
    /// One call of one to three records.
    pub(super) async fn call(&mut self, producer: &Producer) -> Result<(), Violation> {
        let stream = match self.world.knobs.is_routed && self.below(4) > 0 {
            true => Stream::Key(self.below(KEYS)),
            false => Stream::Partition(self.any_partition()),
        };
        let records = 1 + u32::try_from(self.below(3)).unwrap_or(0);
        self.call_to(producer, stream, records).await
    }

    /// A partition that the topic had from the beginning: every run knows it.
    pub(super) fn any_partition(&mut self) -> i32 {
        let count = self.world.first_partitions.unsigned_abs();
        i32::try_from(self.below(count.into())).unwrap_or(0)
    }

    async fn call_to(
        &mut self,
        producer: &Producer,
        stream: Stream,
        count: u32,
    ) -> Result<(), Violation> {
        let call = self.next_call;
        self.next_call += 1;
        let longer = match self.world.knobs.is_large {
            true => self.below(LARGE),
            false => 0,
        };
        let longer = usize::try_from(longer).unwrap_or(0);
        let records: Vec<Record> = (0..count)
            .map(|record| {
                let with_value = Record::new().value(value(call, record, longer));
                match stream {
                    Stream::Key(key) => with_value.key(key.to_string()),
                    Stream::Partition(_) => with_value,
                }
            })
            .collect();
        let mut prepared = producer.call(records);
        if let Stream::Partition(partition) = stream {
            prepared = prepared.partition(partition_id(partition));
        }
        let sent = timeout(PATIENCE, prepared.send()).await;
        let sent = sent.map_err(|_| Violation(format!("call {call} is never queued")))?;
        match sent {
            Ok(receipt) => {
                self.note(format_args!(
                    "call {call} of {count} records to {stream:?} is queued"
                ));
                let trace = &self.world.trace;
                (self.ledger).accepted(call, stream, count, receipt, trace);
            }
            Err(rejected) => {
                self.note(format_args!(
                    "call {call} is refused: {:?}",
                    rejected.reason
                ));
                match rejected.reason {
                    SendError::QueueUnavailable(_) => self.rare.append_failed += 1,
                    SendError::QueueInDoubt => {
                        (self.ledger).in_doubt(call, stream, count);
                        self.rare.append_in_doubt += 1;
                    }
                    // Of a disk that has broken down, everything may be true.
                    _ if self.world.disk.is_crashed() => {}
                    other => return Err(Violation(format!("call {call} is refused: {other}"))),
                }
            }
        }
        Ok(())
    }

    /// Holds one partition's requests while calls come that are batches of their own, and lets them
    /// go again.
    pub(super) async fn fill_window(&mut self, producer: &Producer) -> Result<(), Violation> {
        self.raise_limit()?;
        let flushed = producer.flush(PATIENCE).await;
        self.note(format_args!("flushed: {flushed:?}"));
        match flushed {
            Err(_) if self.world.disk.is_crashed() => return Ok(()),
            flushed => flushed.map_err(|error| Violation(error.to_string()))?,
        }
        let hold = Fault::hold().api(ApiKey::PRODUCE);
        let hold = (self.world.cluster).inject(hold.partition(TOPIC, 0).always());
        self.note(format_args!("requests for partition 0 are held"));
        for _ in 0..7 {
            self.call_to(producer, Stream::Partition(0), 1).await?;
            sleep(Duration::from_millis(20)).await;
            self.check(producer)?;
        }
        // Each of one record, as nothing else is in flight.
        self.rare.five_in_flight += u64::from(producer.stats().in_flight == 5);
        self.world.cluster.remove_fault(hold);
        self.note(format_args!("and go on"));
        Ok(())
    }
}
