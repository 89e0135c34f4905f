//! Random messages of every kind that both implementations have: the same bytes for the same
//! values.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as PeerApiKey, RequestKind, ResponseKind};
use wolff_codec::messages::{AnyRequest, AnyResponse};
use wolff_codec_conformance::coverage;
use wolff_codec_conformance::printed::Printed;

use crate::every_message::{AnyMessage, Kind};

const PER_KIND: u64 = 60;

/// The unknown tagged fields, which the two keep differently, and fields of versions that the peer
/// no longer has.
pub(crate) const OTHERWISE_KEPT: [&str; 4] = [
    "unknown_tags",
    "max_num_offsets",
    "old_style_offsets",
    "is_default",
];

/// A message of the other implementation.
trait PeerMessage: std::fmt::Debug + Sized {
    fn decode(api: PeerApiKey, body: &mut Bytes, version: i16) -> Self;
    fn encode(&self, version: i16) -> Bytes;
}

impl PeerMessage for RequestKind {
    fn decode(api: PeerApiKey, body: &mut Bytes, version: i16) -> Self {
        Self::decode(api, body, version).expect("the peer decodes what we encode")
    }

    fn encode(&self, version: i16) -> Bytes {
        let mut bytes = BytesMut::new();
        self.encode(&mut bytes, version)
            .expect("the peer encodes what it decoded");
        bytes.freeze()
    }
}

impl PeerMessage for ResponseKind {
    fn decode(api: PeerApiKey, body: &mut Bytes, version: i16) -> Self {
        Self::decode(api, body, version).expect("the peer decodes what we encode")
    }

    fn encode(&self, version: i16) -> Bytes {
        let mut bytes = BytesMut::new();
        self.encode(&mut bytes, version)
            .expect("the peer encodes what it decoded");
        bytes.freeze()
    }
}

/// The API of the other implementation, if it has this version of it.
pub(crate) fn peer_api(kind: Kind) -> Option<PeerApiKey> {
    let api = PeerApiKey::try_from(kind.api_key.0).ok()?;
    coverage::has_peer(kind.api_key, kind.version).then_some(api)
}

fn assert_agrees<M: AnyMessage, P: PeerMessage>(kind: Kind, _: &Bytes, ours: &M) {
    let Some(api) = peer_api(kind) else {
        return;
    };
    let our_bytes = ours.encode(kind.version).unwrap();
    let mut unread = our_bytes.clone();
    let theirs = P::decode(api, &mut unread, kind.version);
    assert!(
        unread.is_empty(),
        "{kind:?}: the peer leaves {} bytes",
        unread.len()
    );

    // `AnyRequest::Produce(x)` and `RequestKind::Produce(x)` both print as what they hold.
    let (our_fields, their_fields) = (Printed::of(ours).unwrap(), Printed::of(&theirs).unwrap());
    assert_eq!(
        our_fields.difference(&their_fields, &OTHERWISE_KEPT),
        None,
        "{kind:?}\n{ours:?}\n{theirs:?}"
    );

    let their_bytes = theirs.encode(kind.version);
    assert_eq!(their_bytes, our_bytes, "{kind:?}\n{ours:?}");
    assert_eq!(M::decode(kind, &their_bytes).as_ref(), Ok(ours), "{kind:?}");
}

#[test]
fn requests_are_the_same_bytes() {
    Kind::for_random_messages::<AnyRequest>(PER_KIND, assert_agrees::<AnyRequest, RequestKind>);
}

#[test]
fn responses_are_the_same_bytes() {
    Kind::for_random_messages::<AnyResponse>(PER_KIND, assert_agrees::<AnyResponse, ResponseKind>);
}

/// Fields that the other implementation lacks; everything else is compared.
#[test]
fn only_few_versions_are_not_compared() {
    let mut missing = Vec::new();
    for kind in Kind::all() {
        if peer_api(kind).is_none() {
            missing.push(format!("{} {}", kind.api_key, kind.version));
        }
    }
    let expected = [
        "ListOffsets 0",
        "ListOffsets 11",
        "OffsetCommit 10",
        "OffsetFetch 0",
        "OffsetFetch 10",
        "CreateTopics 0",
        "CreateTopics 1",
        "DeleteTopics 0",
        "DescribeConfigs 0",
        "DeleteGroups 3",
    ];
    assert_eq!(missing, expected);
}
