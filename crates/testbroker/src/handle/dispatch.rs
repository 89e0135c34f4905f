//! Which request goes where.

use bytes::Bytes;
use parking_lot::Mutex;
use wolff_codec::ids::BrokerId;
use wolff_codec::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeProducersRequest,
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListOffsetsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, SyncGroupRequest,
};
use wolff_codec::{ApiKey, Message, RequestHeader};

use super::api_versions;
use super::serve::{Reply, run};
use super::versions::is_advertised;
use crate::sasl::Session;
use crate::shared::Shared;

/// Serves a request by its API.
macro_rules! run_by_key {
    ($shared:ident, $broker:ident, $session:ident, $header:ident, $body:ident: $($request:ident)*) => {
        match $header.api_key {
            $(<$request as Message>::API_KEY => run::<$request>($shared, $broker, $session, $header, $body).await,)*
            _ => Reply::hangup(),
        }
    };
}

/// Serves a request, if its API and version are among those that the broker advertises.
pub(crate) async fn dispatch(
    shared: &Shared,
    broker: BrokerId,
    session: Option<&Mutex<Session>>,
    header: &RequestHeader,
    body: &Bytes,
) -> Reply {
    if !is_advertised(shared, header.api_key, header.api_version) {
        return refuse(shared, broker, header);
    }
    run_by_key!(shared, broker, session, header, body:
        ProduceRequest
        FetchRequest
        ListOffsetsRequest
        MetadataRequest
        OffsetCommitRequest
        OffsetFetchRequest
        FindCoordinatorRequest
        JoinGroupRequest
        HeartbeatRequest
        LeaveGroupRequest
        SyncGroupRequest
        SaslHandshakeRequest
        ApiVersionsRequest
        CreateTopicsRequest
        DeleteTopicsRequest
        DeleteRecordsRequest
        InitProducerIdRequest
        DescribeConfigsRequest
        SaslAuthenticateRequest
        CreatePartitionsRequest
        IncrementalAlterConfigsRequest
        DescribeClusterRequest
        DescribeProducersRequest
    )
}

/// A version of ApiVersions that is too new is answered (KIP-511); anything else closes the
/// connection.
fn refuse(shared: &Shared, broker: BrokerId, header: &RequestHeader) -> Reply {
    let (api, version) = (header.api_key, header.api_version);
    tracing::debug!(%broker, %api, version, "request is not supported");
    if api == ApiKey::API_VERSIONS {
        api_versions::refuse_version(shared, header.correlation_id)
    } else {
        Reply::hangup()
    }
}
