//! Fetch: whole batches from an offset on, at once or when there are enough of them.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wolff_codec::ids::{BrokerId, Offset};
use wolff_codec::messages::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData,
};
use wolff_codec::wire::Chunks;
use wolff_codec::{ErrorCode, Str};

use super::leadership::{current_leader, deserves_hint, endpoints, led};
use super::serve::{Call, Serve, Served};
use crate::fault::Target;
use crate::model::{Model, Partition};

/// The first version that tells who leads a partition instead.
const FIRST_VERSION_WITH_HINT: i16 = 12;

/// The first version that names topics by id instead of by name.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;

/// The most that one response carries, whatever the client asks for, in bytes.
const MAX_RESPONSE_BYTES: usize = 55 * 1024 * 1024;

/// The longest that a request waits for records, whatever the client asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);

impl Serve for FetchRequest {
    fn targets(&self, model: &Model) -> Vec<Target> {
        let mut targets = Vec::new();
        for topic in &self.topics {
            let name = if topic.topic_id.is_zero() {
                Some(&topic.topic)
            } else {
                model.name_of(topic.topic_id)
            };
            let Some(name) = name else { continue };
            targets.extend(topic.partitions.iter().map(|partition| Target {
                topic: name.clone(),
                partition: Some(partition.partition),
            }));
        }
        targets
    }

    async fn serve(self, call: &Call<'_>) -> Served<FetchResponse> {
        if self.session_id != 0 {
            // This broker opens no sessions: every response says so with session id 0.
            return Served::Answer(FetchResponse {
                error_code: ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
                ..Default::default()
            });
        }
        let wait_ms = u64::try_from(self.max_wait_ms).unwrap_or(0);
        let deadline = Instant::now() + Duration::from_millis(wait_ms).min(MAX_WAIT);
        let enough = usize::try_from(self.min_bytes).unwrap_or(0);
        let mut changes = call.shared.changes();
        loop {
            changes.mark_unchanged();
            let found = read(&self, call);
            if found.has_error || found.bytes >= enough {
                return Served::Answer(found.response);
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return Served::Answer(read(&self, call).response);
            }
        }
    }
}

/// Records that a request finds now.
#[derive(Default)]
struct Found {
    response: FetchResponse,
    /// Of all partitions.
    bytes: usize,
    has_error: bool,
}

fn read(request: &FetchRequest, call: &Call<'_>) -> Found {
    let mut found = Found::default();
    found.response.throttle_time_ms = call.script.throttle_ms();
    let model = call.shared.model();
    let max_bytes = usize::try_from(request.max_bytes)
        .unwrap_or(0)
        .min(MAX_RESPONSE_BYTES);
    for topic in &request.topics {
        let name = name_of(&model, call, topic);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let room = max_bytes.saturating_sub(found.bytes);
            let data = match name {
                Some(name) => read_partition(&model, call, name, wanted, room, found.bytes == 0),
                None => refused(wanted, ErrorCode::UNKNOWN_TOPIC_ID),
            };
            found.has_error |= !data.error_code.is_ok();
            found.bytes += data.records.as_ref().map_or(0, Chunks::len);
            partitions.push(data);
        }
        found.response.responses.push(FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions,
            ..Default::default()
        });
    }
    let leaders = found.response.responses.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| partition.current_leader.leader_id)
    });
    let leaders: Vec<BrokerId> = leaders.collect();
    found.response.node_endpoints = endpoints(&model, leaders);
    found
}

/// The name of a topic that is named by id or by name; `None` for an unknown id.
fn name_of<'a>(model: &'a Model, call: &Call<'_>, topic: &'a FetchTopic) -> Option<&'a Str> {
    if call.version >= FIRST_VERSION_WITH_TOPIC_IDS {
        model.name_of(topic.topic_id)
    } else {
        Some(&topic.topic)
    }
}

fn refused(wanted: &FetchPartition, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: wanted.partition,
        error_code,
        high_watermark: Offset::UNKNOWN,
        records: Some(Chunks::new()),
        ..Default::default()
    }
}

/// The first partition with records gives a batch even if it is larger than there is room, so that
/// a client gets on.
fn read_partition(
    model: &Model,
    call: &Call<'_>,
    topic: &Str,
    wanted: &FetchPartition,
    room: usize,
    is_first: bool,
) -> PartitionData {
    let scripted = call.script.error_for_partition(topic, wanted.partition);
    let partition = match scripted {
        Some((code, _)) => Err(code),
        None => led(
            model,
            call,
            topic,
            wanted.partition,
            wanted.current_leader_epoch,
        ),
    };
    let read = partition.and_then(|partition| {
        let batches = partition
            .log()
            .read(wanted.fetch_offset, limit(wanted, room));
        Ok((partition, batches.ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?))
    });
    match read {
        Ok((partition, mut batches)) => {
            if !is_first
                && batches
                    .first()
                    .is_some_and(|first| first.len() > limit(wanted, room))
            {
                batches.clear();
            }
            PartitionData {
                records: Some(Chunks::from(batches)),
                ..state_of(partition, wanted)
            }
        }
        Err(error_code) => {
            let state = match partition {
                Ok(partition) => state_of(partition, wanted),
                Err(_) => refused(wanted, error_code),
            };
            PartitionData {
                error_code,
                current_leader: if deserves_hint(error_code)
                    && call.version >= FIRST_VERSION_WITH_HINT
                {
                    current_leader(model, topic, wanted.partition)
                } else {
                    Default::default()
                },
                records: Some(Chunks::new()),
                ..state
            }
        }
    }
}

fn limit(wanted: &FetchPartition, room: usize) -> usize {
    usize::try_from(wanted.partition_max_bytes)
        .unwrap_or(0)
        .min(room)
}

fn state_of(partition: &Partition, wanted: &FetchPartition) -> PartitionData {
    let log = partition.log();
    PartitionData {
        partition_index: wanted.partition,
        high_watermark: partition.high_watermark(),
        last_stable_offset: partition.high_watermark(),
        log_start_offset: log.start_offset(),
        ..Default::default()
    }
}
