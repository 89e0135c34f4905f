//! Every message that this crate speaks, one module per API, requests and responses.
//!
//! Structs and fields have the names of Kafka's own message definitions. One struct serves all versions: where a version
//! lacks a field, encoding leaves it out, or fails if that would change what the message means, and decoding sets the
//! default. All structs implement `Default`, so that callers name only what they set; what may be null is none then.

mod any;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_producers;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod get_telemetry_subscriptions;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod produce;
pub mod push_telemetry;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod txn_offset_commit;

pub mod leader_hints;

pub use add_offsets_to_txn::*;
pub use add_partitions_to_txn::*;
pub use any::{AnyRequest, AnyResponse};
pub use api_versions::*;
pub use create_partitions::*;
pub use create_topics::*;
pub use delete_topics::*;
pub use describe_cluster::*;
pub use describe_configs::*;
pub use describe_producers::*;
pub use end_txn::*;
pub use fetch::*;
pub use find_coordinator::*;
pub use get_telemetry_subscriptions::*;
pub use incremental_alter_configs::*;
pub use init_producer_id::*;
pub use leader_hints::*;
pub use list_offsets::*;
pub use metadata::*;
pub use produce::*;
pub use push_telemetry::*;
pub use sasl_authenticate::*;
pub use sasl_handshake::*;
pub use txn_offset_commit::*;
