//! How long a broker will not read after an answer (KIP-219).
//!
//! Before the versions named here a broker held the answer back instead: then the wait is over when
//! the answer comes, and waiting again would punish twice.

use std::any::Any;
use std::time::Duration;

use wolff_codec::messages::{
    CreatePartitionsResponse, CreateTopicsResponse, DeleteTopicsResponse, DescribeConfigsResponse,
    FetchResponse, FindCoordinatorResponse, IncrementalAlterConfigsResponse,
    InitProducerIdResponse, ListOffsetsResponse, MetadataResponse, ProduceResponse,
};

/// The throttle time in `response`, zero when it has none.
pub(super) fn throttle_time(response: &dyn Any, version: i16) -> Duration {
    macro_rules! first_of {
        ($($response_type:ty => $since:literal),* $(,)?) => {
            $(if let Some(response) = response.downcast_ref::<$response_type>() {
                return if version >= $since { millis(response.throttle_time_ms) } else { Duration::ZERO };
            })*
        };
    }
    // What a producer sends all day comes first.
    first_of! {
        ProduceResponse => 6,
        MetadataResponse => 6,
        InitProducerIdResponse => 1,
        FetchResponse => 8,
        ListOffsetsResponse => 3,
        FindCoordinatorResponse => 2,
        CreateTopicsResponse => 3,
        DeleteTopicsResponse => 2,
        CreatePartitionsResponse => 1,
        DescribeConfigsResponse => 2,
        IncrementalAlterConfigsResponse => 0,
    }
    Duration::ZERO
}

fn millis(throttle_time_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_counts_only_where_the_broker_mutes_afterwards() {
        let response = ProduceResponse {
            throttle_time_ms: 70,
            ..Default::default()
        };
        assert_eq!(throttle_time(&response, 5), Duration::ZERO);
        assert_eq!(throttle_time(&response, 6), Duration::from_millis(70));
    }

    #[test]
    fn nonsense_is_no_throttle() {
        let response = MetadataResponse {
            throttle_time_ms: -1,
            ..Default::default()
        };
        assert_eq!(throttle_time(&response, 9), Duration::ZERO);
        assert_eq!(throttle_time(&"another type", 9), Duration::ZERO);
    }
}
