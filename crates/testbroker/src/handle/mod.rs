//! From a request to its answer: one file per API, and one for those of
//! groups.

mod dispatch;

mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_producers;
mod fetch;
mod find_coordinator;
mod groups;
mod incremental_alter_configs;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;

mod config_resource;
mod leadership;

mod authentication;

mod serve;
mod versions;

pub(crate) use self::authentication::bare_token;
pub(crate) use self::dispatch::dispatch;
pub(crate) use self::metadata::snapshot;
pub(crate) use self::serve::Reply;
