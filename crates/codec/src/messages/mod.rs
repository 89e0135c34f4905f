//! Every message that this crate speaks, one module per API, requests and responses.
//!
//! Structs and fields have the names of Kafka's own message definitions. One struct serves all
//! versions: where a version lacks a field, encoding leaves it out, or fails if that would change
//! what the message means, and decoding sets the default. All structs implement `Default`, so that
//! callers name only what they set; what may be null is none then.
//!
//! | API | key | versions | flexible since |
//! |---|---|---|---|
//! | [Produce](produce) | 0 | 3–13 | 9 |
//! | [Fetch](fetch) | 1 | 4–18 | 12 |
//! | [ListOffsets](list_offsets) | 2 | 0–11 | 6 |
//! | [Metadata](metadata) | 3 | 4–13 | 9 |
//! | [OffsetCommit](offset_commit) | 8 | 2–10 | 8 |
//! | [OffsetFetch](offset_fetch) | 9 | 0–10 | 6 |
//! | [FindCoordinator](find_coordinator) | 10 | 0–6 | 3 |
//! | [JoinGroup](join_group) | 11 | 0–9 | 6 |
//! | [Heartbeat](heartbeat) | 12 | 0–4 | 4 |
//! | [LeaveGroup](leave_group) | 13 | 0–5 | 4 |
//! | [SyncGroup](sync_group) | 14 | 0–5 | 4 |
//! | [DescribeGroups](describe_groups) | 15 | 0–6 | 5 |
//! | [ListGroups](list_groups) | 16 | 0–5 | 3 |
//! | [SaslHandshake](sasl_handshake) | 17 | 0–1 | never |
//! | [ApiVersions](api_versions) | 18 | 0–4 | 3 |
//! | [CreateTopics](create_topics) | 19 | 0–7 | 5 |
//! | [DeleteTopics](delete_topics) | 20 | 0–6 | 4 |
//! | [DeleteRecords](delete_records) | 21 | 0–2 | 2 |
//! | [InitProducerId](init_producer_id) | 22 | 0–5 | 2 |
//! | [OffsetForLeaderEpoch](offset_for_leader_epoch) | 23 | 2–4 | 4 |
//! | [AddPartitionsToTxn](add_partitions_to_txn) | 24 | 0–5 | 3 |
//! | [AddOffsetsToTxn](add_offsets_to_txn) | 25 | 0–4 | 3 |
//! | [EndTxn](end_txn) | 26 | 0–5 | 3 |
//! | [TxnOffsetCommit](txn_offset_commit) | 28 | 0–5 | 3 |
//! | [DescribeConfigs](describe_configs) | 32 | 0–4 | 4 |
//! | [SaslAuthenticate](sasl_authenticate) | 36 | 0–2 | 2 |
//! | [CreatePartitions](create_partitions) | 37 | 0–3 | 2 |
//! | [DeleteGroups](delete_groups) | 42 | 0–3 | 2 |
//! | [IncrementalAlterConfigs](incremental_alter_configs) | 44 | 0–1 | 1 |
//! | [DescribeCluster](describe_cluster) | 60 | 0–1 | 0 |
//! | [DescribeProducers](describe_producers) | 61 | 0 | 0 |
//! | [DescribeTransactions](describe_transactions) | 65 | 0 | 0 |
//! | [ListTransactions](list_transactions) | 66 | 0–2 | 0 |
//! | [GetTelemetrySubscriptions](get_telemetry_subscriptions) | 71 | 0 | 0 |
//! | [PushTelemetry](push_telemetry) | 72 | 0 | 0 |
//! | [DescribeTopicPartitions](describe_topic_partitions) | 75 | 0 | 0 |

mod any;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod api_versions;
pub mod consumer_protocol;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_producers;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod get_telemetry_subscriptions;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod push_telemetry;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod sync_group;
pub mod txn_offset_commit;

pub mod leader_hints;

pub use add_offsets_to_txn::*;
pub use add_partitions_to_txn::*;
pub use any::{AnyRequest, AnyResponse};
pub use api_versions::*;
pub use consumer_protocol::*;
pub use create_partitions::*;
pub use create_topics::*;
pub use delete_groups::*;
pub use delete_records::*;
pub use delete_topics::*;
pub use describe_cluster::*;
pub use describe_configs::*;
pub use describe_groups::*;
pub use describe_producers::*;
pub use describe_topic_partitions::*;
pub use describe_transactions::*;
pub use end_txn::*;
pub use fetch::*;
pub use find_coordinator::*;
pub use get_telemetry_subscriptions::*;
pub use heartbeat::*;
pub use incremental_alter_configs::*;
pub use init_producer_id::*;
pub use join_group::*;
pub use leader_hints::*;
pub use leave_group::*;
pub use list_groups::*;
pub use list_offsets::*;
pub use list_transactions::*;
pub use metadata::*;
pub use offset_commit::*;
pub use offset_fetch::*;
pub use offset_for_leader_epoch::*;
pub use produce::*;
pub use push_telemetry::*;
pub use sasl_authenticate::*;
pub use sasl_handshake::*;
pub use sync_group::*;
pub use txn_offset_commit::*;
