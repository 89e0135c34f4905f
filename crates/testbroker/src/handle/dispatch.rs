//! Which request goes where, and which versions of it are served.

use std::ops::RangeInclusive;

use bytes::Bytes;
use wolff_codec::ids::BrokerId;
use wolff_codec::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeConfigsRequest, DescribeProducersRequest, FetchRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest, ProduceRequest,
};
use wolff_codec::{ApiKey, Message, RequestHeader};

use super::api_versions;
use super::serve::{Reply, run};
use crate::shared::Shared;

/// Declares the APIs that are served, by key.
macro_rules! apis {
    ($($request:ident $advertised:expr,)*) => {
        /// The APIs that are served, with the versions that a client is told.
        const ADVERTISED: &[(ApiKey, RangeInclusive<i16>)] =
            &[$((<$request as Message>::API_KEY, $advertised),)*];

        /// Serves a request, if its API and version are among those that the broker advertises.
        pub(crate) async fn dispatch(
            shared: &Shared,
            broker: BrokerId,
            header: &RequestHeader,
            body: &Bytes,
        ) -> Reply {
            if !is_advertised(shared, header) {
                return refuse(shared, broker, header);
            }
            match header.api_key {
                $(<$request as Message>::API_KEY => run::<$request>(shared, broker, header, body).await,)*
                _ => Reply::hangup(),
            }
        }
    };
}

apis! {
    // Kafka 4 claims the versions before 3 too: librdkafka takes them for a sign that the broker knows compression
    // (KAFKA-18659). They are not served, here as there.
    ProduceRequest 0..=*ProduceRequest::VERSIONS.end(),
    FetchRequest FetchRequest::VERSIONS,
    ListOffsetsRequest 1..=*ListOffsetsRequest::VERSIONS.end(),
    MetadataRequest MetadataRequest::VERSIONS,
    FindCoordinatorRequest FindCoordinatorRequest::VERSIONS,
    ApiVersionsRequest ApiVersionsRequest::VERSIONS,
    CreateTopicsRequest CreateTopicsRequest::VERSIONS,
    DeleteTopicsRequest DeleteTopicsRequest::VERSIONS,
    InitProducerIdRequest InitProducerIdRequest::VERSIONS,
    DescribeConfigsRequest DescribeConfigsRequest::VERSIONS,
    CreatePartitionsRequest CreatePartitionsRequest::VERSIONS,
    IncrementalAlterConfigsRequest IncrementalAlterConfigsRequest::VERSIONS,
    DescribeClusterRequest DescribeClusterRequest::VERSIONS,
    DescribeProducersRequest DescribeProducersRequest::VERSIONS,
}

/// The APIs and versions that this cluster's brokers tell their clients.
pub(super) fn advertised(shared: &Shared) -> impl Iterator<Item = (ApiKey, RangeInclusive<i16>)> {
    let overrides = &shared.config().versions;
    ADVERTISED
        .iter()
        .filter_map(|(api, versions)| match overrides.get(api) {
            None => Some((*api, versions.clone())),
            Some(versions) => versions.clone().map(|versions| (*api, versions)),
        })
}

fn is_advertised(shared: &Shared, header: &RequestHeader) -> bool {
    advertised(shared)
        .any(|(api, versions)| api == header.api_key && versions.contains(&header.api_version))
}

/// A version of ApiVersions that is too new is answered (KIP-511); anything else closes the connection.
fn refuse(shared: &Shared, broker: BrokerId, header: &RequestHeader) -> Reply {
    let (api, version) = (header.api_key, header.api_version);
    tracing::debug!(%broker, %api, version, "request is not supported");
    if api == ApiKey::API_VERSIONS {
        api_versions::refuse_version(advertised(shared), header.correlation_id)
    } else {
        Reply::hangup()
    }
}
