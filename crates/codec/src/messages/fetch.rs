//! Fetch (key 1): record batches from the log of a partition.
//!
//! Version 5 tells the start of the log, 7 has fetch sessions (KIP-227), 9 checks the leader's
//! epoch (KIP-320), 10 allows zstd, 11 may send a consumer to a nearby replica (KIP-392), 12 is
//! flexible, 13 names topics by id (KIP-516), 14 may return `OFFSET_MOVED_TO_TIERED_STORAGE`
//! (KIP-405), 15 has the state of a replica (KIP-903), 16 says where the leaders are (KIP-951), 17
//! has the directory of a replica (KIP-853), 18 its high watermark (KIP-1166).

mod request;

mod response;

pub use request::*;
pub use response::*;
