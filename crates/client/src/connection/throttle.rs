//! Time for which a broker will not read after a response (KIP-219).
//!
//! Before the versions named here a broker held the answer back instead: then the wait is over when
//! the answer comes, and waiting again would punish twice.

use std::any::Any;
use std::time::Duration;

use wolff_codec::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, CreatePartitionsResponse,
    CreateTopicsResponse, DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse,
    DescribeClusterResponse, DescribeConfigsResponse, DescribeGroupsResponse,
    DescribeProducersResponse, DescribeTopicPartitionsResponse, DescribeTransactionsResponse,
    EndTxnResponse, FetchResponse, FindCoordinatorResponse, GetTelemetrySubscriptionsResponse,
    HeartbeatResponse, IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse,
    LeaveGroupResponse, ListGroupsResponse, ListOffsetsResponse, ListTransactionsResponse,
    MetadataResponse, OffsetCommitResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse,
    ProduceResponse, PushTelemetryResponse, SyncGroupResponse, TxnOffsetCommitResponse,
};

use crate::leaders_response::LeadersResponse;

/// The throttle time in `response`, zero when it has none.
pub(super) fn throttle_time(response: &dyn Any, version: i16) -> Duration {
    macro_rules! first_of {
        ($($response_type:ty => $since:literal),* $(,)?) => {
            $(if let Some(response) = response.downcast_ref::<$response_type>() {
                return if version >= $since { millis(response.throttle_time_ms) } else { Duration::ZERO };
            })*
        };
    }
    // What a producer sends all day comes first.
    first_of! {
        ProduceResponse => 6,
        LeadersResponse => 6,
        MetadataResponse => 6,
        InitProducerIdResponse => 1,
        FetchResponse => 8,
        ListOffsetsResponse => 3,
        FindCoordinatorResponse => 2,
        CreateTopicsResponse => 3,
        DeleteTopicsResponse => 2,
        CreatePartitionsResponse => 1,
        DescribeConfigsResponse => 2,
        IncrementalAlterConfigsResponse => 0,
        DeleteRecordsResponse => 1,
        DescribeClusterResponse => 0,
        DescribeProducersResponse => 0,
        DescribeTopicPartitionsResponse => 0,
        OffsetForLeaderEpochResponse => 2,
        JoinGroupResponse => 3,
        SyncGroupResponse => 2,
        HeartbeatResponse => 2,
        LeaveGroupResponse => 2,
        OffsetCommitResponse => 4,
        OffsetFetchResponse => 4,
        ListGroupsResponse => 2,
        DescribeGroupsResponse => 2,
        DeleteGroupsResponse => 1,
        AddPartitionsToTxnResponse => 1,
        AddOffsetsToTxnResponse => 1,
        EndTxnResponse => 1,
        TxnOffsetCommitResponse => 1,
        DescribeTransactionsResponse => 0,
        ListTransactionsResponse => 0,
        GetTelemetrySubscriptionsResponse => 0,
        PushTelemetryResponse => 0,
    }
    Duration::ZERO
}

fn millis(throttle_time_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_counts_only_where_the_broker_mutes_afterwards() {
        let response = ProduceResponse {
            throttle_time_ms: 70,
            ..Default::default()
        };
        assert_eq!(throttle_time(&response, 5), Duration::ZERO);
        assert_eq!(throttle_time(&response, 6), Duration::from_millis(70));
        // The calls of an administrator and of a group have quotas as well.
        let response = DeleteRecordsResponse {
            throttle_time_ms: 70,
            ..Default::default()
        };
        assert_eq!(throttle_time(&response, 0), Duration::ZERO);
        assert_eq!(throttle_time(&response, 1), Duration::from_millis(70));
    }

    #[test]
    fn nonsense_is_no_throttle() {
        let response = MetadataResponse {
            throttle_time_ms: -1,
            ..Default::default()
        };
        assert_eq!(throttle_time(&response, 9), Duration::ZERO);
        assert_eq!(throttle_time(&"another type", 9), Duration::ZERO);
    }
}
