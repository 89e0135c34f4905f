//! Kafka's wire protocol, both directions: messages, record batches, compression; no I/O.
//!
//! ```
//! use bytes::BytesMut;
//! use wolff_codec::messages::{MetadataRequest, MetadataResponse};
//! use wolff_codec::{
//!     CorrelationId, FrameSplitter, decode_request_header, decode_response, encode_request,
//!     encode_response,
//! };
//!
//! // A client asks for all topics …
//! let request = MetadataRequest { topics: None, ..Default::default() };
//! let to_broker = encode_request(&request, 12, CorrelationId(7), Some("client-1"))?;
//!
//! // … the broker finds the request in what it received, and answers …
//! let mut received = BytesMut::from(&to_broker.to_bytes()[..]);
//! let splitter = FrameSplitter::new(64 << 20);
//! let frame = splitter.next_frame(&mut received)?.expect("a whole frame");
//! let (header, _body) = decode_request_header(&frame)?;
//! let response = MetadataResponse { cluster_id: Some("c-1".into()), ..Default::default() };
//! let to_client = encode_response(&response, header.api_version, header.correlation_id)?;
//!
//! // … and the client understands.
//! let frame = to_client.to_bytes().slice(4..);
//! let (correlation_id, answer): (_, MetadataResponse) = decode_response(&frame, 12)?;
//! assert_eq!((correlation_id, answer), (CorrelationId(7), response));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! | to | see |
//! |---|---|
//! | cut a stream into frames | [`FrameSplitter`]: the only place where bytes can be incomplete |
//! | write and read whole frames | [`encode_request`], [`decode_request_header`], [`encode_response`], [`decode_response`] |
//! | know a message, its fields, and since which version each is there | [`messages`], one module per API |
//! | treat all messages alike, as a proxy does | [`messages::AnyRequest`], [`messages::AnyResponse`] |
//! | find the version that both sides speak | [`VersionRanges`] |
//! | know what an error means for a client | [`ErrorCode`] |
//! | write and read record batches | [`records`] |
//! | add a message of one's own | [`Message`], [`Request`] and [`wire::Field`] |
//!
//! # Rules of the protocol that hold everywhere
//!
//! A *frame* is a length of four bytes and that much content: a header ([`RequestHeader`],
//! [`ResponseHeader`]) and a body. Which version the header has follows from the API and the
//! version of the body; [`ApiKey`] knows. From some version on each API is *flexible* (KIP-482):
//! lengths are compact, and every structure ends with *tagged fields*, which can be added without a
//! new version. Those that are not known here are kept in `unknown_tags`, and written again.
//!
//! Numbers that mean something have types of their own ([`ids`], [`ApiKey`], [`ErrorCode`]). They
//! wrap the number instead of enumerating it: values that nobody has heard of survive.
//!
//! # Errors
//!
//! An [`EncodeError`] says that the caller's value does not fit the version; a [`DecodeError`] that
//! the peer's bytes are not what the version prescribes, and its [`Malformed`] has the path of the
//! field and the byte. Neither panics, whatever the input; and decoding a message allocates at most
//! four times its bytes and 1 MiB: one that would take more is an error.

mod negotiate;
mod request;
mod response;

pub mod messages;
pub mod records;

mod header;
mod message;

mod frame;

pub mod wire;

mod text;

mod error;

mod api;
mod broker_ids;
mod error_code;

pub mod ids;

pub use api::ApiKey;
pub use broker_ids::BrokerIds;
pub use error::{DecodeError, Defect, EncodeError, FieldPath, Malformed, Wanted};
pub use error_code::{Appended, ErrorCode};
pub use frame::{FrameError, FrameSplitter};
pub use header::{RequestHeader, ResponseHeader};
pub use ids::{
    BrokerId, ClientInstanceId, CorrelationId, DirectoryId, LeaderEpoch, Offset, PartitionId,
    ProducerEpoch, ProducerId, TopicId,
};
pub use message::{Message, Request};
pub use negotiate::{UnsupportedApi, VersionRanges};
pub use request::{decode_request_header, encode_request};
pub use response::{decode_response, encode_response, response_correlation_id};
pub use text::Str;

/// Runs what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
