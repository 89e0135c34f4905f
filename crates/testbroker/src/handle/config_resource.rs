//! Resources of DescribeConfigs and IncrementalAlterConfigs.

use wolff_codec::{ErrorCode, Str};

use super::serve::Call;
use crate::error::TopicError;

/// A topic.
pub(super) const TOPIC: i8 = 2;

/// A broker, named by its number.
pub(super) const BROKER: i8 = 4;

/// The error that the request was scripted to meet at a resource, if that is a topic, and whether
/// it is applied all the same.
pub(super) fn scripted_error(
    call: &Call<'_>,
    resource_type: i8,
    name: &Str,
) -> Option<(TopicError, bool)> {
    let error = match resource_type {
        TOPIC => call.script.error_for_topic(name),
        _ => None,
    };
    error.map(|(code, applied)| (TopicError::new(code, "scripted"), applied))
}

/// The answer to a resource of another kind.
pub(super) fn unsupported() -> TopicError {
    TopicError::new(
        ErrorCode::INVALID_REQUEST,
        "there are no settings of that kind of resource here",
    )
}
