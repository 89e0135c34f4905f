//! API keys, header versions and error codes.

use std::error::Error;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey as PeerApiKey;
use wolff_codec::{ApiKey, ErrorCode};

#[test]
fn every_api_of_the_peer_has_our_name_and_our_headers() {
    let mut compared = 0;
    for key in 0..200 {
        let Ok(peer) = PeerApiKey::try_from(key) else {
            continue;
        };
        let ours = ApiKey(key);
        assert_eq!(ours.name(), Some(format!("{peer:?}").as_str()));
        let versions = peer.valid_versions();
        for version in versions.min..=versions.max {
            let request = peer.request_header_version(version);
            assert_eq!(
                ours.request_header_version(version),
                request,
                "{ours} {version}"
            );
            let response = peer.response_header_version(version);
            assert_eq!(
                ours.response_header_version(version),
                response,
                "{ours} {version}"
            );
        }
        compared += 1;
    }
    assert!(compared > 60, "{compared}");
}

/// `NOT_LEADER_OR_FOLLOWER` as `notleaderorfollower`.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .to_lowercase()
}

#[test]
fn every_error_code_of_the_peer_has_our_name_and_advice() -> Result<(), Box<dyn Error>> {
    let mut compared = 0;
    for ours in ErrorCode::NAMED.iter().filter(|code| !code.is_ok()) {
        let Some(peer) = ResponseError::try_from_code(ours.0) else {
            continue;
        };
        if matches!(peer, ResponseError::Unknown(_)) {
            continue;
        }
        assert_eq!(
            plain(&format!("{peer:?}")),
            plain(ours.name().ok_or("no name")?)
        );
        // Java's client retries this one, although the list of error codes does not call it
        // retriable.
        if *ours != ErrorCode::CONCURRENT_TRANSACTIONS {
            assert_eq!(ours.is_retriable(), peer.is_retriable(), "{ours}");
        }
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
    Ok(())
}
