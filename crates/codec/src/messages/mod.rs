//! Every message that this crate speaks, one module per API, requests and responses.
//!
//! Structs and fields have the names of Kafka's own message definitions. One struct serves all versions: where a version
//! lacks a field, encoding leaves it out, or fails if that would change what the message means, and decoding sets the
//! default. All structs implement `Default`, so that callers name only what they set; what may be null is none then.
//!
//! | API | key | versions | flexible since |
//! |---|---|---|---|
//! | [Produce](produce) | 0 | 3–13 | 9 |
//! | [Fetch](fetch) | 1 | 4–12 | 12 |
//! | [ListOffsets](list_offsets) | 2 | 0–10 | 6 |
//! | [Metadata](metadata) | 3 | 4–13 | 9 |
//! | [FindCoordinator](find_coordinator) | 10 | 0–6 | 3 |
//! | [SaslHandshake](sasl_handshake) | 17 | 0–1 | never |
//! | [ApiVersions](api_versions) | 18 | 0–4 | 3 |
//! | [CreateTopics](create_topics) | 19 | 0–7 | 5 |
//! | [DeleteTopics](delete_topics) | 20 | 0–6 | 4 |
//! | [InitProducerId](init_producer_id) | 22 | 0–5 | 2 |
//! | [AddPartitionsToTxn](add_partitions_to_txn) | 24 | 0–5 | 3 |
//! | [AddOffsetsToTxn](add_offsets_to_txn) | 25 | 0–4 | 3 |
//! | [EndTxn](end_txn) | 26 | 0–5 | 3 |
//! | [TxnOffsetCommit](txn_offset_commit) | 28 | 0–4 | 3 |
//! | [DescribeConfigs](describe_configs) | 32 | 0–4 | 4 |
//! | [SaslAuthenticate](sasl_authenticate) | 36 | 0–2 | 2 |
//! | [CreatePartitions](create_partitions) | 37 | 0–3 | 2 |
//! | [IncrementalAlterConfigs](incremental_alter_configs) | 44 | 0–1 | 1 |
//! | [DescribeCluster](describe_cluster) | 60 | 0–1 | 0 |
//! | [DescribeProducers](describe_producers) | 61 | 0 | 0 |
//! | [GetTelemetrySubscriptions](get_telemetry_subscriptions) | 71 | 0 | 0 |
//! | [PushTelemetry](push_telemetry) | 72 | 0 | 0 |

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
