//! What an error code in a produce answer means for the batch: a pure function of data.

use wolff_codec::ErrorCode;

use crate::outcome::FailReason;

/// What to do with a batch that came back with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The broker has it already: as good as acked.
    Duplicate,
    /// Send it again, unchanged, after a delay.
    Retry,
    /// Send it again to the leader that fresh metadata names.
    RefreshAndRetry,
    /// Too large as a whole: cut it between calls, or give up the single call that is too large alone.
    Split,
    /// The producer's identity is no longer usable: take a fresh one and number the batches anew.
    NewIdentity,
    /// Not in Kafka and never will be.
    GiveUp(FailReason),
}

/// The verdict on one error code of a produce answer.
#[must_use]
pub fn verdict(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::Duplicate,
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => Verdict::Split,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::PRODUCER_FENCED => Verdict::NewIdentity,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            Verdict::GiveUp(FailReason::Unauthorized { code })
        }
        ErrorCode::INVALID_RECORD
        | ErrorCode::INVALID_TIMESTAMP
        | ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::INVALID_REQUIRED_ACKS
        | ErrorCode::POLICY_VIOLATION
        | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => Verdict::GiveUp(FailReason::Rejected {
            code,
            message: None,
        }),
        code if code.needs_metadata_refresh() => Verdict::RefreshAndRetry,
        // What nobody has classified is tried again: giving up records on a code of the future would lose them.
        _ => Verdict::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_by_what_helps() {
        assert_eq!(
            verdict(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            Verdict::RefreshAndRetry
        );
        assert_eq!(
            verdict(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Verdict::RefreshAndRetry
        );
        assert_eq!(verdict(ErrorCode::NOT_ENOUGH_REPLICAS), Verdict::Retry);
        assert_eq!(verdict(ErrorCode::REQUEST_TIMED_OUT), Verdict::Retry);
        assert_eq!(verdict(ErrorCode::MESSAGE_TOO_LARGE), Verdict::Split);
        assert_eq!(verdict(ErrorCode(9999)), Verdict::Retry);
        assert!(matches!(
            verdict(ErrorCode::INVALID_RECORD),
            Verdict::GiveUp(_)
        ));
    }
}
