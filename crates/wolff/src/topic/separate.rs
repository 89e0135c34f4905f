//! Separating leased unrouted batches by partition.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wolff_client::codec::records::Record;
use wolff_codec::PartitionId;
use wolff_core::{
    BatchBody, BatchEncoder, FailReason, LeaseNo, Origin, Outcome, Routable, RoutedCall, RoutedPart,
};

use super::Topic;
use super::view::StoredCall;
use crate::clock;
use crate::error::{SendError, with_causes};
use crate::partition::{
    ForeignBatch, ForeignPart, PartitionQueue, SourceRun, Token, UnroutedQueue,
};

/// A batch for one partition, which is given back to the unrouted queue if it is dropped before it
/// was handed over.
pub(super) struct Parcel {
    partition: PartitionId,
    unrouted: Arc<UnroutedQueue>,
    was_sent: bool,
    body: Option<BatchBody>,
    parts: Vec<ForeignPart>,
}

impl Parcel {
    pub(super) fn partition(&self) -> PartitionId {
        self.partition
    }

    pub(super) fn hand_to(mut self, queue: &Arc<PartitionQueue>) {
        if let Some(body) = self.body.take() {
            let parts = std::mem::take(&mut self.parts);
            let batch = ForeignBatch::new(self.unrouted.clone(), parts);
            queue.push_foreign(batch, body, self.was_sent);
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let outcome = given_back(&self.unrouted);
        for part in self.parts.drain(..) {
            for run in &part.runs {
                self.unrouted.end_unrouted(
                    Some(self.partition),
                    (part.lease, &part.origin),
                    (run.first_record, run.records()),
                    u64::from(run.calls),
                    &outcome,
                );
            }
        }
    }
}

/// The end of calls that were not handed to a partition.
fn given_back(unrouted: &UnroutedQueue) -> Outcome {
    if unrouted.is_on_disk() {
        Outcome::LeftInQueue
    } else {
        Outcome::Failed(FailReason::Stopped)
    }
}

/// Records for one partition.
struct Collected {
    encoder: BatchEncoder,
    was_sent: bool,
    parts: Vec<ForeignPart>,
}

impl Collected {
    fn new(base_timestamp_ms: i64, was_sent: bool) -> Self {
        Self {
            encoder: BatchEncoder::new(base_timestamp_ms, 0),
            was_sent,
            parts: Vec::new(),
        }
    }

    fn note(&mut self, lease: LeaseNo, origin: &Origin<Token>, call: &RoutedCall) {
        let run = SourceRun {
            first_record: call.first_record,
            calls: 1,
            call_records: call.records,
        };
        match self.parts.last_mut() {
            Some(part) if part.lease == lease => {
                let longer = part.runs.last().and_then(|last| last.extended(run));
                match (longer, part.runs.last_mut()) {
                    (Some(longer), Some(last)) => *last = longer,
                    _ => part.runs.push(run),
                }
            }
            _ => self.parts.push(ForeignPart {
                lease,
                origin: origin.clone(),
                runs: vec![run],
            }),
        }
    }
}

/// The batches that are being put together.
struct Sorter<'a> {
    unrouted: &'a Arc<UnroutedQueue>,
    max_bytes: usize,
    done: Vec<Parcel>,
    open: BTreeMap<PartitionId, Collected>,
}

impl Sorter<'_> {
    fn add(
        &mut self,
        (lease, origin): (LeaseNo, &Origin<Token>),
        (call, records): &(RoutedCall, Vec<Record>),
        base_timestamp_ms: i64,
        was_sent: bool,
    ) {
        let partition = call.partition;
        let is_other = |collected: &Collected| collected.was_sent != was_sent;
        if self.open.get(&partition).is_some_and(is_other) {
            self.finish(partition);
        }
        let new = || Collected::new(base_timestamp_ms, was_sent);
        let collected = self.open.entry(partition).or_insert_with(new);
        if !collected.encoder.push(records) {
            // As large as a batch can be: the next one takes it.
            self.finish(partition);
            let collected = self.open.entry(partition).or_insert_with(new);
            // It was in a batch before, so it finds room in an empty one.
            let _ = collected.encoder.push(records);
        }
        if let Some(collected) = self.open.get_mut(&partition) {
            collected.note(lease, origin, call);
            if collected.encoder.byte_len() >= self.max_bytes {
                self.finish(partition);
            }
        }
    }

    fn finish(&mut self, partition: PartitionId) {
        if let Some(collected) = self.open.remove(&partition) {
            self.done.push(Parcel {
                partition,
                unrouted: self.unrouted.clone(),
                was_sent: collected.was_sent,
                body: collected.encoder.finish(),
                parts: collected.parts,
            });
        }
    }
}

/// The calls of a batch, decoded, as far as they can be routed now.
#[derive(Default)]
struct Found {
    calls: Vec<(RoutedCall, Vec<Record>, i64)>,
    /// First record, count, calls and reason of what cannot be.
    lost: Vec<((u32, u32), u64, FailReason)>,
}

/// Separates leased batches by partition, in order.
pub(super) fn separate(
    topic: &Topic,
    unrouted: &Arc<UnroutedQueue>,
    routable: Vec<Routable<Token>>,
    count: u32,
) -> Vec<Parcel> {
    let mut sorter = Sorter {
        unrouted,
        max_bytes: topic.config.max_batch_bytes,
        done: Vec::new(),
        open: BTreeMap::new(),
    };
    for routable in routable {
        let found = match &routable.part {
            RoutedPart::AllBut(_) => choose_all(topic, &routable, count),
            RoutedPart::Deferred(calls) => find_deferred(&routable, calls),
        };
        let (lease, origin) = (routable.lease, &routable.origin);
        let calls: Vec<RoutedCall> = found.calls.iter().map(|(call, ..)| *call).collect();
        let now = clock::now();
        let goes = unrouted.machine().route(lease, &routable.part, &calls, now);
        let Some(goes) = goes else {
            // Given up meanwhile. What was deferred before has ended.
            if matches!(routable.part, RoutedPart::AllBut(_)) {
                let outcome = given_back(unrouted);
                for (records, calls) in found.ranges() {
                    unrouted.end_unrouted(None, (lease, origin), records, calls, &outcome);
                }
            }
            continue;
        };
        for ((call, records, base), goes) in found.calls.into_iter().zip(goes) {
            if goes {
                sorter.add((lease, origin), &(call, records), base, routable.was_sent);
            }
        }
        for (records, calls, reason) in found.lost {
            let outcome = Outcome::Failed(reason);
            unrouted.end_unrouted(None, (lease, origin), records, calls, &outcome);
        }
    }
    while let Some((partition, _)) = sorter.open.first_key_value() {
        sorter.finish(*partition);
    }
    sorter.done
}

/// Decides where the calls of a batch go.
fn choose_all(topic: &Topic, routable: &Routable<Token>, count: u32) -> Found {
    let mut found = Found::default();
    for (first_record, body) in &routable.pieces {
        let base = body.totals().base_timestamp_ms;
        let mut at = *first_record;
        let mut calls_left = u64::from(body.call_count());
        let end = first_record.saturating_add(body.record_count());
        for call in body.calls() {
            let (first_record, records) = (at, u32::try_from(call.len()).unwrap_or(u32::MAX));
            calls_left = calls_left.saturating_sub(1);
            at = at.saturating_add(records);
            if matches!(&routable.part, RoutedPart::AllBut(done) if done.contains(first_record)) {
                continue;
            }
            match chosen(topic, &call, count) {
                Ok(partition) => {
                    let routed = RoutedCall {
                        first_record,
                        records,
                        partition,
                    };
                    found.calls.push((routed, call, base));
                }
                Err(reason) => found.lost.push(((first_record, records), 1, reason)),
            }
        }
        if at < end {
            let missing = (at, end.saturating_sub(at));
            found
                .lost
                .push((missing, calls_left, FailReason::QueueDamaged));
        }
    }
    found
}

/// Finds the calls that were deferred.
fn find_deferred(routable: &Routable<Token>, deferred: &[RoutedCall]) -> Found {
    let mut found = Found::default();
    let mut wanted = deferred.iter().copied().peekable();
    for (first_record, body) in &routable.pieces {
        let base = body.totals().base_timestamp_ms;
        let mut at = *first_record;
        for call in body.calls() {
            let (first_record, records) = (at, u32::try_from(call.len()).unwrap_or(u32::MAX));
            at = at.saturating_add(records);
            while let Some(lost) = wanted.next_if(|next| next.first_record < first_record) {
                found.lose(lost);
            }
            if let Some(routed) = wanted.next_if(|next| next.first_record == first_record) {
                if routed.records == records {
                    found.calls.push((routed, call, base));
                } else {
                    found.lose(routed);
                }
            }
        }
    }
    wanted.for_each(|lost| found.lose(lost));
    found
}

impl Found {
    /// The first record and the count of records, and the count of calls, of all of it.
    fn ranges(&self) -> impl Iterator<Item = ((u32, u32), u64)> {
        let calls = self.calls.iter();
        let routed = calls.map(|(call, ..)| ((call.first_record, call.records), 1));
        let lost = self.lost.iter();
        routed.chain(lost.map(|(records, calls, _)| (*records, *calls)))
    }

    fn lose(&mut self, call: RoutedCall) {
        let records = (call.first_record, call.records);
        self.lost.push((records, 1, FailReason::QueueDamaged));
    }
}

/// The partition that the partitioner chooses; its panics are contained.
fn chosen(topic: &Topic, call: &[Record], count: u32) -> Result<PartitionId, FailReason> {
    let routes = topic.routes.load();
    let choose = || topic.choose_partition(StoredCall(call), &routes, count);
    match catch_unwind(AssertUnwindSafe(choose)) {
        Ok(Ok(partition)) if u32::try_from(partition.0).is_ok_and(|number| number < count) => {
            Ok(partition)
        }
        Ok(Ok(partition)) => Err(FailReason::InvalidPartition { partition, count }),
        Ok(Err(SendError::InvalidPartition { partition, .. })) => {
            Err(FailReason::InvalidPartition { partition, count })
        }
        Ok(Err(error)) => {
            tracing::error!(error = %with_causes(&error), "the partitioner chose no partition");
            Err(FailReason::InvalidPartition {
                partition: PartitionId(-1),
                count,
            })
        }
        Err(_) => {
            tracing::error!("the partitioner panicked");
            Err(FailReason::WorkerCrashed)
        }
    }
}
