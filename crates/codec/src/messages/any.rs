//! Whichever message an API key stands for: for brokers, proxies and tools that treat all of them
//! alike.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use super::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use super::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use super::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use super::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use super::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use super::delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
use super::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use super::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use super::describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
use super::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use super::describe_producers::{DescribeProducersRequest, DescribeProducersResponse};
use super::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use super::describe_transactions::{DescribeTransactionsRequest, DescribeTransactionsResponse};
use super::end_txn::{EndTxnRequest, EndTxnResponse};
use super::fetch::{FetchRequest, FetchResponse};
use super::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use super::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use super::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use super::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use super::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use super::join_group::{JoinGroupRequest, JoinGroupResponse};
use super::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use super::list_groups::{ListGroupsRequest, ListGroupsResponse};
use super::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use super::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use super::metadata::{MetadataRequest, MetadataResponse};
use super::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use super::offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
use super::offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use super::produce::{ProduceRequest, ProduceResponse};
use super::push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};
use super::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use super::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
use super::sync_group::{SyncGroupRequest, SyncGroupResponse};
use super::txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::message::Message;
use crate::wire::Writer;

/// Declares an enum over messages, with a variant per API.
macro_rules! any_message {
    ($(#[$doc:meta])* $any:ident { $($api:ident $message:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum $any {
            $(
                #[doc = concat!("See [`", stringify!($message), "`].")]
                $api($message),
            )*
        }

        impl $any {
            /// The versions of an API that can be encoded and decoded; none if this crate does not
            /// know the API.
            #[must_use]
            pub fn versions(api_key: ApiKey) -> Option<RangeInclusive<i16>> {
                match api_key {
                    $(<$message>::API_KEY => Some(<$message>::VERSIONS),)*
                    _ => None,
                }
            }

            /// The API that the message belongs to.
            #[must_use]
            pub fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => <$message>::API_KEY,)*
                }
            }

            /// Writes the body.
            ///
            /// # Errors
            /// As [`Message::encode`].
            pub fn encode(&self, version: i16, out: &mut Writer) -> Result<(), EncodeError> {
                match self {
                    $(Self::$api(message) => message.encode(version, out),)*
                }
            }

            /// Reads a body.
            ///
            /// # Errors
            /// [`DecodeError::UnsupportedApi`], and as [`Message::decode`].
            pub fn decode(
                api_key: ApiKey,
                version: i16,
                body: &Bytes,
            ) -> Result<Self, DecodeError> {
                match api_key {
                    $(<$message>::API_KEY => Message::decode(body, version).map(Self::$api),)*
                    _ => Err(DecodeError::UnsupportedApi { api: api_key }),
                }
            }
        }

        $(
            impl From<$message> for $any {
                fn from(message: $message) -> Self {
                    Self::$api(message)
                }
            }
        )*
    };
}

any_message! {
    /// A request of any API.
    ///
    /// ```
    /// use wolff_codec::messages::{AnyRequest, EndTxnRequest};
    /// use wolff_codec::{CorrelationId, decode_request_header, encode_request};
    ///
    /// let request = EndTxnRequest { committed: true, ..Default::default() };
    /// let frame = encode_request(&request, 3, CorrelationId(1), None)?.to_bytes().slice(4..);
    ///
    /// let (header, body) = decode_request_header(&frame)?;
    /// match AnyRequest::decode(header.api_key, header.api_version, &body)? {
    ///     AnyRequest::EndTxn(end) => assert!(end.committed),
    ///     other => panic!("not an EndTxn: {other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    AnyRequest {
        Produce ProduceRequest,
        Fetch FetchRequest,
        ListOffsets ListOffsetsRequest,
        Metadata MetadataRequest,
        OffsetCommit OffsetCommitRequest,
        OffsetFetch OffsetFetchRequest,
        FindCoordinator FindCoordinatorRequest,
        JoinGroup JoinGroupRequest,
        Heartbeat HeartbeatRequest,
        LeaveGroup LeaveGroupRequest,
        SyncGroup SyncGroupRequest,
        DescribeGroups DescribeGroupsRequest,
        ListGroups ListGroupsRequest,
        SaslHandshake SaslHandshakeRequest,
        ApiVersions ApiVersionsRequest,
        CreateTopics CreateTopicsRequest,
        DeleteTopics DeleteTopicsRequest,
        DeleteRecords DeleteRecordsRequest,
        InitProducerId InitProducerIdRequest,
        OffsetForLeaderEpoch OffsetForLeaderEpochRequest,
        AddPartitionsToTxn AddPartitionsToTxnRequest,
        AddOffsetsToTxn AddOffsetsToTxnRequest,
        EndTxn EndTxnRequest,
        TxnOffsetCommit TxnOffsetCommitRequest,
        DescribeConfigs DescribeConfigsRequest,
        SaslAuthenticate SaslAuthenticateRequest,
        CreatePartitions CreatePartitionsRequest,
        DeleteGroups DeleteGroupsRequest,
        IncrementalAlterConfigs IncrementalAlterConfigsRequest,
        DescribeCluster DescribeClusterRequest,
        DescribeProducers DescribeProducersRequest,
        DescribeTransactions DescribeTransactionsRequest,
        ListTransactions ListTransactionsRequest,
        GetTelemetrySubscriptions GetTelemetrySubscriptionsRequest,
        PushTelemetry PushTelemetryRequest,
        DescribeTopicPartitions DescribeTopicPartitionsRequest,
    }
}

any_message! {
    /// A response of any API.
    AnyResponse {
        Produce ProduceResponse,
        Fetch FetchResponse,
        ListOffsets ListOffsetsResponse,
        Metadata MetadataResponse,
        OffsetCommit OffsetCommitResponse,
        OffsetFetch OffsetFetchResponse,
        FindCoordinator FindCoordinatorResponse,
        JoinGroup JoinGroupResponse,
        Heartbeat HeartbeatResponse,
        LeaveGroup LeaveGroupResponse,
        SyncGroup SyncGroupResponse,
        DescribeGroups DescribeGroupsResponse,
        ListGroups ListGroupsResponse,
        SaslHandshake SaslHandshakeResponse,
        ApiVersions ApiVersionsResponse,
        CreateTopics CreateTopicsResponse,
        DeleteTopics DeleteTopicsResponse,
        DeleteRecords DeleteRecordsResponse,
        InitProducerId InitProducerIdResponse,
        OffsetForLeaderEpoch OffsetForLeaderEpochResponse,
        AddPartitionsToTxn AddPartitionsToTxnResponse,
        AddOffsetsToTxn AddOffsetsToTxnResponse,
        EndTxn EndTxnResponse,
        TxnOffsetCommit TxnOffsetCommitResponse,
        DescribeConfigs DescribeConfigsResponse,
        SaslAuthenticate SaslAuthenticateResponse,
        CreatePartitions CreatePartitionsResponse,
        DeleteGroups DeleteGroupsResponse,
        IncrementalAlterConfigs IncrementalAlterConfigsResponse,
        DescribeCluster DescribeClusterResponse,
        DescribeProducers DescribeProducersResponse,
        DescribeTransactions DescribeTransactionsResponse,
        ListTransactions ListTransactionsResponse,
        GetTelemetrySubscriptions GetTelemetrySubscriptionsResponse,
        PushTelemetry PushTelemetryResponse,
        DescribeTopicPartitions DescribeTopicPartitionsResponse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_apis_and_the_messages_agree_on_flexible_versions() {
        macro_rules! assert_agree {
            ($($request:ident $response:ident,)*) => {$(
                let api = <$request>::API_KEY;
                assert_eq!(<$request>::FIRST_FLEXIBLE, api.first_flexible_version(), "{api}");
                assert_eq!(<$response>::FIRST_FLEXIBLE, <$request>::FIRST_FLEXIBLE, "{api}");
                assert_eq!(<$response>::VERSIONS, <$request>::VERSIONS, "{api}");
                assert_eq!(<$response>::API_KEY, api);
            )*};
        }
        assert_agree! {
            ProduceRequest ProduceResponse,
            FetchRequest FetchResponse,
            ListOffsetsRequest ListOffsetsResponse,
            MetadataRequest MetadataResponse,
            OffsetCommitRequest OffsetCommitResponse,
            OffsetFetchRequest OffsetFetchResponse,
            FindCoordinatorRequest FindCoordinatorResponse,
            JoinGroupRequest JoinGroupResponse,
            HeartbeatRequest HeartbeatResponse,
            LeaveGroupRequest LeaveGroupResponse,
            SyncGroupRequest SyncGroupResponse,
            DescribeGroupsRequest DescribeGroupsResponse,
            ListGroupsRequest ListGroupsResponse,
            SaslHandshakeRequest SaslHandshakeResponse,
            ApiVersionsRequest ApiVersionsResponse,
            CreateTopicsRequest CreateTopicsResponse,
            DeleteTopicsRequest DeleteTopicsResponse,
            DeleteRecordsRequest DeleteRecordsResponse,
            InitProducerIdRequest InitProducerIdResponse,
            OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse,
            AddPartitionsToTxnRequest AddPartitionsToTxnResponse,
            AddOffsetsToTxnRequest AddOffsetsToTxnResponse,
            EndTxnRequest EndTxnResponse,
            TxnOffsetCommitRequest TxnOffsetCommitResponse,
            DescribeConfigsRequest DescribeConfigsResponse,
            SaslAuthenticateRequest SaslAuthenticateResponse,
            CreatePartitionsRequest CreatePartitionsResponse,
            DeleteGroupsRequest DeleteGroupsResponse,
            IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse,
            DescribeClusterRequest DescribeClusterResponse,
            DescribeProducersRequest DescribeProducersResponse,
            DescribeTransactionsRequest DescribeTransactionsResponse,
            ListTransactionsRequest ListTransactionsResponse,
            GetTelemetrySubscriptionsRequest GetTelemetrySubscriptionsResponse,
            PushTelemetryRequest PushTelemetryResponse,
            DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse,
        }
    }

    #[test]
    fn an_api_that_is_not_here_is_an_error() {
        let api = ApiKey::VOTE;
        assert_eq!(AnyRequest::versions(api), None);
        let error = AnyRequest::decode(api, 0, &Bytes::new()).unwrap_err();
        assert_eq!(error, DecodeError::UnsupportedApi { api });
    }
}
