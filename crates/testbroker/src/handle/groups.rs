//! The requests of a consumer group, of which there are none here: each is refused with a code that
//! no client tries again for, so that a consumer in group mode ends with an error at once. The
//! protocol has no room for a message in these responses: it is in the log.

use wolff_codec::ErrorCode;
use wolff_codec::ids::Offset;
use wolff_codec::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic, OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
    SyncGroupRequest, SyncGroupResponse,
};

use super::serve::{Call, Serve, Served};

/// The one refusal that every client of Kafka takes for final.
const REFUSAL: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;

/// The code for a request about a group, which is logged where it is not injected.
fn refusal(call: &Call<'_>, group: &str) -> ErrorCode {
    call.script.error().unwrap_or_else(|| {
        tracing::warn!(
            broker = %call.broker,
            group,
            "this broker has no consumer groups and commits no offsets: the request is refused; consume from assigned partitions"
        );
        REFUSAL
    })
}

impl Serve for JoinGroupRequest {
    async fn serve(self, call: &Call<'_>) -> Served<JoinGroupResponse> {
        Served::Answer(JoinGroupResponse {
            error_code: refusal(call, &self.group_id),
            // Null is not allowed before version 7.
            protocol_name: Some("".into()),
            ..Default::default()
        })
    }
}

impl Serve for SyncGroupRequest {
    async fn serve(self, call: &Call<'_>) -> Served<SyncGroupResponse> {
        Served::Answer(SyncGroupResponse {
            error_code: refusal(call, &self.group_id),
            ..Default::default()
        })
    }
}

impl Serve for HeartbeatRequest {
    async fn serve(self, call: &Call<'_>) -> Served<HeartbeatResponse> {
        Served::Answer(HeartbeatResponse {
            error_code: refusal(call, &self.group_id),
            ..Default::default()
        })
    }
}

impl Serve for LeaveGroupRequest {
    async fn serve(self, call: &Call<'_>) -> Served<LeaveGroupResponse> {
        Served::Answer(LeaveGroupResponse {
            error_code: refusal(call, &self.group_id),
            ..Default::default()
        })
    }
}

impl Serve for OffsetCommitRequest {
    async fn serve(self, call: &Call<'_>) -> Served<OffsetCommitResponse> {
        let error_code = refusal(call, &self.group_id);
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
                ..Default::default()
            });
            OffsetCommitResponseTopic {
                partitions: partitions.collect(),
                name: topic.name,
                topic_id: topic.topic_id,
                ..Default::default()
            }
        });
        Served::Answer(OffsetCommitResponse {
            topics: topics.collect(),
            ..Default::default()
        })
    }
}

impl Serve for OffsetFetchRequest {
    /// Nothing is committed: nothing can be.
    async fn serve(self, call: &Call<'_>) -> Served<OffsetFetchResponse> {
        let error_code = call.script.error().unwrap_or(ErrorCode::NONE);
        let groups = self.groups.into_iter();
        let groups = groups.map(|group| OffsetFetchResponseGroup {
            group_id: group.group_id,
            topics: uncommitted(group.topics.unwrap_or_default()),
            error_code,
            ..Default::default()
        });
        Served::Answer(OffsetFetchResponse {
            topics: uncommitted(self.topics.unwrap_or_default()),
            error_code,
            groups: groups.collect(),
            ..Default::default()
        })
    }
}

fn uncommitted(topics: Vec<OffsetFetchRequestTopic>) -> Vec<OffsetFetchResponseTopic> {
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.into_iter();
        let partitions = partitions.map(|partition_index| OffsetFetchResponsePartition {
            partition_index,
            committed_offset: Offset::UNKNOWN,
            metadata: Some("".into()),
            ..Default::default()
        });
        OffsetFetchResponseTopic {
            partitions: partitions.collect(),
            name: topic.name,
            topic_id: topic.topic_id,
            ..Default::default()
        }
    });
    topics.collect()
}
