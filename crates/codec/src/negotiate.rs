//! The version of each request: the newest that both sides speak.

use std::ops::RangeInclusive;

use thiserror::Error;

use crate::api::ApiKey;
use crate::message::Request;
use crate::messages::ApiVersionsResponse;

/// There is no version of a request that both sides speak.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{api}: the broker speaks {}, wanted is one of {} to {}", described(theirs), ours.start(), ours.end())]
pub struct UnsupportedApi {
    /// The API.
    pub api: ApiKey,
    /// The versions that would do on this side.
    pub ours: RangeInclusive<i16>,
    /// The versions that the broker speaks; none if it does not know the API.
    pub theirs: Option<RangeInclusive<i16>>,
}

fn described(range: &Option<RangeInclusive<i16>>) -> String {
    match range {
        Some(range) => format!("versions {} to {}", range.start(), range.end()),
        None => String::from("no version"),
    }
}

/// The versions that a broker speaks, as it said itself. A refusal (`error_code` of the response)
/// announces none, so that every API is unsupported.
///
/// A broker's word is not always true: Kafka 4 claims Produce 0 to 2 and refuses them (KAFKA-18659,
/// a favour to old clients that check them). The versions that this crate speaks stay clear of
/// that.
///
/// ```
/// use wolff_codec::messages::{ApiVersion, ApiVersionsResponse, MetadataRequest, ProduceRequest};
/// use wolff_codec::{ApiKey, VersionRanges};
///
/// let kafka_4_0 = ApiVersion { api_key: ApiKey::PRODUCE, max_version: 12, ..Default::default() };
/// let response = ApiVersionsResponse { api_keys: vec![kafka_4_0], ..Default::default() };
/// let ranges = VersionRanges::from(&response);
/// assert_eq!(ranges.pick::<ProduceRequest>()?, 12);
/// assert_eq!(ranges.pick_within::<ProduceRequest>(3..=9)?, 9);
/// assert!(ranges.pick::<MetadataRequest>().is_err());
/// # Ok::<(), wolff_codec::UnsupportedApi>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VersionRanges {
    /// Sorted by key; of several entries with one key the first one counts.
    ranges: Vec<(ApiKey, RangeInclusive<i16>)>,
}

impl VersionRanges {
    /// The versions of an API that the broker speaks.
    #[must_use]
    pub fn range(&self, api: ApiKey) -> Option<RangeInclusive<i16>> {
        let position = self
            .ranges
            .binary_search_by_key(&api, |(key, _)| *key)
            .ok()?;
        self.ranges.get(position).map(|(_, range)| range.clone())
    }

    /// The newest version that both sides speak. Whether it can carry a certain request is another
    /// question: see [`pick_for`](Self::pick_for).
    ///
    /// # Errors
    /// [`UnsupportedApi`] when there is none.
    pub fn pick<R: Request>(&self) -> Result<i16, UnsupportedApi> {
        self.pick_within::<R>(R::VERSIONS)
    }

    /// The newest version that both sides speak and that is not too new for this request: Produce
    /// stays below 13 while the id of a topic is not known, for example. Whether it is new enough,
    /// the encoding tells: it names the field that the version lacks.
    ///
    /// # Errors
    /// [`UnsupportedApi`] when there is none.
    pub fn pick_for<R: Request>(&self, request: &R) -> Result<i16, UnsupportedApi> {
        self.pick_within::<R>(*R::VERSIONS.start()..=request.newest_version())
    }

    /// The newest version among these that both sides speak.
    ///
    /// # Errors
    /// [`UnsupportedApi`] when there is none.
    pub fn pick_within<R: Request>(
        &self,
        versions: RangeInclusive<i16>,
    ) -> Result<i16, UnsupportedApi> {
        let oldest = *R::VERSIONS.start().max(versions.start());
        let newest = *R::VERSIONS.end().min(versions.end());
        let theirs = self.range(R::API_KEY);
        let picked = theirs.as_ref().and_then(|theirs| {
            let common = oldest.max(*theirs.start())..=newest.min(*theirs.end());
            (!common.is_empty()).then(|| *common.end())
        });
        picked.ok_or(UnsupportedApi {
            api: R::API_KEY,
            ours: oldest..=newest,
            theirs,
        })
    }
}

impl From<&ApiVersionsResponse> for VersionRanges {
    fn from(response: &ApiVersionsResponse) -> Self {
        let mut ranges: Vec<_> = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, api.min_version..=api.max_version))
            .collect();
        ranges.sort_by_key(|(key, _)| *key);
        ranges.dedup_by_key(|(key, _)| *key);
        Self { ranges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TopicId;
    use crate::messages::{ApiVersion, ProduceRequest, TopicProduceData};

    fn ranges(api_key: ApiKey, min_version: i16, max_version: i16) -> VersionRanges {
        let api = ApiVersion {
            api_key,
            min_version,
            max_version,
            ..Default::default()
        };
        VersionRanges::from(&ApiVersionsResponse {
            api_keys: vec![api],
            ..Default::default()
        })
    }

    #[test]
    fn the_newest_common_version_is_picked() {
        for (theirs, picked) in [
            ((0, 13), 13),
            ((0, 99), 13),
            ((0, 9), 9),
            ((3, 3), 3),
            ((13, 20), 13),
        ] {
            let ranges = ranges(ApiKey::PRODUCE, theirs.0, theirs.1);
            assert_eq!(ranges.pick::<ProduceRequest>(), Ok(picked));
        }
    }

    #[test]
    fn without_a_common_version_the_error_names_both_sides() {
        for (min, max) in [(0, 2), (14, 20), (9, 8), (i16::MIN, -1)] {
            let error = ranges(ApiKey::PRODUCE, min, max)
                .pick::<ProduceRequest>()
                .unwrap_err();
            assert_eq!(error.theirs, Some(min..=max));
            assert_eq!(error.ours, 3..=13);
        }
        let error = ranges(ApiKey::FETCH, 0, 9)
            .pick::<ProduceRequest>()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Produce: the broker speaks no version, wanted is one of 3 to 13"
        );
    }

    #[test]
    fn produce_stays_below_13_while_a_topic_id_is_not_known() {
        let ranges = ranges(ApiKey::PRODUCE, 0, 13);
        let topic = |topic_id| TopicProduceData {
            topic_id,
            ..Default::default()
        };
        let known = TopicId([1; 16]);
        let mut request = ProduceRequest {
            topic_data: vec![topic(known)],
            ..Default::default()
        };
        assert_eq!(ranges.pick_for(&request), Ok(13));
        request.topic_data.push(topic(TopicId::ZERO));
        assert_eq!(ranges.pick_for(&request), Ok(12));
    }
}
