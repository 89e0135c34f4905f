//! Kafka's wire protocol, both directions: messages, record batches, compression; no I/O.

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
mod error_code;
pub mod ids;

pub use api::ApiKey;
pub use error::{DecodeError, Defect, EncodeError, FieldPath, Malformed, Wanted};
pub use error_code::ErrorCode;
pub use frame::{FrameError, FrameSplitter};
pub use header::{RequestHeader, ResponseHeader};
pub use ids::{
    BrokerId, ClientInstanceId, CorrelationId, LeaderEpoch, Offset, PartitionId, ProducerEpoch,
    ProducerId, TopicId,
};
pub use message::{Message, Request};
pub use negotiate::{UnsupportedApi, VersionRanges};
pub use request::{decode_request_header, encode_request};
pub use response::{decode_response, encode_response, response_correlation_id};
pub use text::Str;
