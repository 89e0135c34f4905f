//! Addresses in responses: a client that is told where brokers are shall be told where the proxy
//! is.

use bytes::Bytes;
use wolff_codec::messages::{
    ApiVersionsResponse, DescribeClusterResponse, FetchResponse, FindCoordinatorResponse,
    MetadataResponse, ProduceResponse,
};
use wolff_codec::{ApiKey, Message, Str, decode_response, encode_response};

/// Knows the way around.
pub(super) trait Detours: Send + Sync {
    /// Where a client gets to the broker at this address; none if it must go there by itself.
    fn detour(&self, host: &str, port: i32) -> Option<(Str, i32)>;
}

/// The first version of Produce whose answers say where new leaders are (KIP-951).
const FIRST_PRODUCE_WITH_ENDPOINTS: i16 = 10;

/// The response as the client shall get it, length prefix included; none if it stays as it is.
/// `frame` has lost its prefix.
///
/// The answer to ApiVersions is changed too: what cannot be read here, and would say addresses, is
/// not on offer.
pub(super) fn rewrite(
    frame: &Bytes,
    api: ApiKey,
    version: i16,
    detours: &dyn Detours,
) -> Option<Bytes> {
    let redirect = |host: &mut Str, port: &mut i32| {
        if let Some((new_host, new_port)) = detours.detour(host, *port) {
            (*host, *port) = (new_host, new_port);
        }
    };
    match api {
        ApiKey::METADATA => edit::<MetadataResponse>(frame, version, |response| {
            for broker in &mut response.brokers {
                redirect(&mut broker.host, &mut broker.port);
            }
        }),
        ApiKey::PRODUCE if version >= FIRST_PRODUCE_WITH_ENDPOINTS => {
            edit::<ProduceResponse>(frame, version, |response| {
                for node in &mut response.node_endpoints {
                    redirect(&mut node.host, &mut node.port);
                }
            })
        }
        ApiKey::FIND_COORDINATOR => edit::<FindCoordinatorResponse>(frame, version, |response| {
            redirect(&mut response.host, &mut response.port);
            for coordinator in &mut response.coordinators {
                redirect(&mut coordinator.host, &mut coordinator.port);
            }
        }),
        ApiKey::DESCRIBE_CLUSTER => edit::<DescribeClusterResponse>(frame, version, |response| {
            for broker in &mut response.brokers {
                redirect(&mut broker.host, &mut broker.port);
            }
        }),
        ApiKey::API_VERSIONS => edit::<ApiVersionsResponse>(frame, version, |response| {
            for offered in &mut response.api_keys {
                if let Some(newest) = newest_readable(offered.api_key) {
                    offered.max_version = offered.max_version.min(newest);
                }
            }
        }),
        _ => None,
    }
}

/// The newest version of an API whose answers say addresses. Fetch says none up to its own.
fn newest_readable(api: ApiKey) -> Option<i16> {
    match api {
        ApiKey::METADATA => Some(*MetadataResponse::VERSIONS.end()),
        ApiKey::PRODUCE => Some(*ProduceResponse::VERSIONS.end()),
        ApiKey::FETCH => Some(*FetchResponse::VERSIONS.end()),
        ApiKey::FIND_COORDINATOR => Some(*FindCoordinatorResponse::VERSIONS.end()),
        ApiKey::DESCRIBE_CLUSTER => Some(*DescribeClusterResponse::VERSIONS.end()),
        _ => None,
    }
}

fn edit<M: Message>(frame: &Bytes, version: i16, edit: impl FnOnce(&mut M)) -> Option<Bytes> {
    // What cannot be read is for the client to judge.
    let (correlation_id, response) = decode_response::<M>(frame, version).ok()?;
    let mut edited = response.clone();
    edit(&mut edited);
    // What says nothing that must change keeps its bytes: a refusal of ApiVersions, for one, comes
    // in another version.
    if edited == response {
        return None;
    }
    let response = edited;
    let edited = encode_response(&response, version, correlation_id).ok()?;
    Some(edited.to_bytes())
}

#[cfg(test)]
mod tests {
    use wolff_codec::messages::{ApiVersion, MetadataResponseBroker, NodeEndpoint};
    use wolff_codec::{CorrelationId, ErrorCode};

    use super::*;

    struct ToPort(i32);

    impl Detours for ToPort {
        fn detour(&self, host: &str, _: i32) -> Option<(Str, i32)> {
            (host != "unreachable").then(|| (Str::from("proxy"), self.0))
        }
    }

    fn rewritten<M: Message>(response: &M, version: i16) -> Option<M> {
        let frame = encode_response(response, version, CorrelationId(5)).unwrap();
        let frame = frame.to_bytes().slice(4..);
        let whole = rewrite(&frame, M::API_KEY, version, &ToPort(7))?;
        let length = i32::from_be_bytes(*whole.first_chunk().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), whole.len() - 4);
        let (correlation_id, response) = decode_response(&whole.slice(4..), version).unwrap();
        assert_eq!(correlation_id, CorrelationId(5));
        Some(response)
    }

    #[test]
    fn brokers_move_behind_the_proxy_in_every_version() {
        for version in MetadataResponse::VERSIONS {
            let broker = |host: &str| MetadataResponseBroker {
                host: Str::from(host),
                port: 9092,
                ..Default::default()
            };
            let response = MetadataResponse {
                brokers: vec![broker("a"), broker("unreachable")],
                ..Default::default()
            };
            let brokers = rewritten(&response, version).unwrap().brokers;
            assert_eq!((brokers[0].host.as_str(), brokers[0].port), ("proxy", 7));
            assert_eq!(brokers[1], broker("unreachable"));
        }
    }

    #[test]
    fn hints_at_new_leaders_move_too() {
        let response = ProduceResponse {
            node_endpoints: vec![NodeEndpoint {
                host: Str::from("a"),
                port: 9092,
                ..Default::default()
            }],
            ..Default::default()
        };
        let endpoints = rewritten(&response, 13).unwrap().node_endpoints;
        assert_eq!(
            (endpoints[0].host.as_str(), endpoints[0].port),
            ("proxy", 7)
        );
        assert!(rewritten(&ProduceResponse::default(), 9).is_none());
    }

    #[test]
    fn no_more_is_on_offer_than_can_be_rewritten() {
        let offer = |api_key, max_version| ApiVersion {
            api_key,
            max_version,
            ..Default::default()
        };
        let response = ApiVersionsResponse {
            api_keys: vec![
                offer(ApiKey::METADATA, 99),
                offer(ApiKey::PRODUCE, 4),
                offer(ApiKey::CREATE_TOPICS, 99),
            ],
            ..Default::default()
        };
        let offered = rewritten(&response, 3).unwrap().api_keys;
        let newest: Vec<i16> = offered.iter().map(|offer| offer.max_version).collect();
        assert_eq!(newest, [*MetadataResponse::VERSIONS.end(), 4, 99]);
    }

    #[test]
    fn a_refusal_of_a_version_stays_in_the_version_that_every_client_reads() {
        let refusal = ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..Default::default()
        };
        let frame = encode_response(&refusal, 0, CorrelationId(5)).unwrap();
        let frame = frame.to_bytes().slice(4..);
        let left_alone = rewrite(&frame, ApiKey::API_VERSIONS, 4, &ToPort(7));
        assert_eq!(left_alone, None);
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        let nonsense = Bytes::from_static(b"\0\0\0\x05nonsense");
        assert_eq!(rewrite(&nonsense, ApiKey::METADATA, 9, &ToPort(7)), None);
    }
}
