//! The one table of produce answers: what a code proves about the attempt, and what is done about
//! it.
//!
//! "What an answer proves" in ARCHITECTURE.md has the reasons. With acks=all the leader appends
//! first and waits for its followers afterwards: leadership lost, a disk lost or a timeout while it
//! waits is answered with the same codes as before the append, so these leave the attempt in doubt.

use std::sync::Arc;

use wolff_codec::ErrorCode;

use crate::config::{Acks, OnRefused};

/// Proof that a code is about the attempt that it answers, with acks from all replicas.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// The records are in the log.
    Appended,
    /// This attempt is not in the log.
    NotAppended,
    /// It may be.
    Perhaps,
    /// The broker does not know it: too old for what it remembers, or never appended.
    Unknown,
}

/// Cause of an error code, which decides what is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Kafka has it.
    Success,
    /// Another broker leads, or none: send again in order to the leader that metadata names.
    Leadership,
    /// The broker cannot take it now: send again in order.
    Availability,
    /// The bytes arrived damaged; answered by old brokers for a record that is invalid, too.
    Corrupt,
    /// Too large as a whole.
    TooLarge,
    /// One of the records is invalid.
    BadRecord,
    /// Permission, policy or a setting of the topic: an operator can lift it.
    NotAllowed,
    /// The broker does not know the producer, or not in this state.
    ProducerUnknown,
    /// No smaller part of it can be at fault, and nothing will change.
    NeverValid,
    /// The broker does not support the version of the request.
    Version,
    /// Nobody has classified it.
    Unclassified,
}

/// Rows of the table: code, proof, class.
macro_rules! rows {
    ($($code:ident $proof:ident $class:ident;)*) => {
        &[$((ErrorCode::$code, Proof::$proof, Class::$class),)*]
    };
}

/// Every code that has a name, with what it proves and what class it is.
pub const TABLE: &[(ErrorCode, Proof, Class)] = rows! {
    UNKNOWN_SERVER_ERROR Perhaps Unclassified;
    NONE Appended Success;
    OFFSET_OUT_OF_RANGE Perhaps Unclassified;
    CORRUPT_MESSAGE NotAppended Corrupt;
    UNKNOWN_TOPIC_OR_PARTITION Perhaps Leadership;
    INVALID_FETCH_SIZE Perhaps Unclassified;
    LEADER_NOT_AVAILABLE Perhaps Leadership;
    NOT_LEADER_OR_FOLLOWER Perhaps Leadership;
    REQUEST_TIMED_OUT Perhaps Availability;
    BROKER_NOT_AVAILABLE Perhaps Availability;
    REPLICA_NOT_AVAILABLE Perhaps Leadership;
    MESSAGE_TOO_LARGE NotAppended TooLarge;
    STALE_CONTROLLER_EPOCH Perhaps Unclassified;
    OFFSET_METADATA_TOO_LARGE Perhaps Unclassified;
    NETWORK_EXCEPTION Perhaps Availability;
    COORDINATOR_LOAD_IN_PROGRESS Perhaps Unclassified;
    COORDINATOR_NOT_AVAILABLE Perhaps Unclassified;
    NOT_COORDINATOR Perhaps Unclassified;
    INVALID_TOPIC_EXCEPTION NotAppended NeverValid;
    RECORD_LIST_TOO_LARGE NotAppended TooLarge;
    NOT_ENOUGH_REPLICAS NotAppended Availability;
    NOT_ENOUGH_REPLICAS_AFTER_APPEND Perhaps Availability;
    INVALID_REQUIRED_ACKS NotAppended NotAllowed;
    ILLEGAL_GENERATION Perhaps Unclassified;
    INCONSISTENT_GROUP_PROTOCOL Perhaps Unclassified;
    INVALID_GROUP_ID Perhaps Unclassified;
    UNKNOWN_MEMBER_ID Perhaps Unclassified;
    INVALID_SESSION_TIMEOUT Perhaps Unclassified;
    REBALANCE_IN_PROGRESS Perhaps Unclassified;
    INVALID_COMMIT_OFFSET_SIZE Perhaps Unclassified;
    TOPIC_AUTHORIZATION_FAILED NotAppended NotAllowed;
    GROUP_AUTHORIZATION_FAILED Perhaps Unclassified;
    CLUSTER_AUTHORIZATION_FAILED NotAppended NotAllowed;
    INVALID_TIMESTAMP NotAppended BadRecord;
    UNSUPPORTED_SASL_MECHANISM Perhaps Unclassified;
    ILLEGAL_SASL_STATE Perhaps Unclassified;
    UNSUPPORTED_VERSION NotAppended Version;
    TOPIC_ALREADY_EXISTS Perhaps Unclassified;
    INVALID_PARTITIONS Perhaps Unclassified;
    INVALID_REPLICATION_FACTOR Perhaps Unclassified;
    INVALID_REPLICA_ASSIGNMENT Perhaps Unclassified;
    INVALID_CONFIG Perhaps Unclassified;
    NOT_CONTROLLER Perhaps Unclassified;
    INVALID_REQUEST Perhaps Unclassified;
    UNSUPPORTED_FOR_MESSAGE_FORMAT NotAppended NeverValid;
    POLICY_VIOLATION NotAppended NotAllowed;
    OUT_OF_ORDER_SEQUENCE_NUMBER Unknown ProducerUnknown;
    DUPLICATE_SEQUENCE_NUMBER Appended Success;
    INVALID_PRODUCER_EPOCH NotAppended ProducerUnknown;
    INVALID_TXN_STATE Perhaps Unclassified;
    INVALID_PRODUCER_ID_MAPPING Perhaps Unclassified;
    INVALID_TRANSACTION_TIMEOUT Perhaps Unclassified;
    CONCURRENT_TRANSACTIONS Perhaps Unclassified;
    TRANSACTION_COORDINATOR_FENCED Perhaps Unclassified;
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED NotAppended NotAllowed;
    SECURITY_DISABLED Perhaps Unclassified;
    OPERATION_NOT_ATTEMPTED Perhaps Unclassified;
    KAFKA_STORAGE_ERROR Perhaps Availability;
    LOG_DIR_NOT_FOUND Perhaps Unclassified;
    SASL_AUTHENTICATION_FAILED Perhaps Unclassified;
    UNKNOWN_PRODUCER_ID Unknown ProducerUnknown;
    REASSIGNMENT_IN_PROGRESS Perhaps Unclassified;
    DELEGATION_TOKEN_AUTH_DISABLED Perhaps Unclassified;
    DELEGATION_TOKEN_NOT_FOUND Perhaps Unclassified;
    DELEGATION_TOKEN_OWNER_MISMATCH Perhaps Unclassified;
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Perhaps Unclassified;
    DELEGATION_TOKEN_AUTHORIZATION_FAILED Perhaps Unclassified;
    DELEGATION_TOKEN_EXPIRED Perhaps Unclassified;
    INVALID_PRINCIPAL_TYPE Perhaps Unclassified;
    NON_EMPTY_GROUP Perhaps Unclassified;
    GROUP_ID_NOT_FOUND Perhaps Unclassified;
    FETCH_SESSION_ID_NOT_FOUND Perhaps Unclassified;
    INVALID_FETCH_SESSION_EPOCH Perhaps Unclassified;
    LISTENER_NOT_FOUND Perhaps Unclassified;
    TOPIC_DELETION_DISABLED Perhaps Unclassified;
    FENCED_LEADER_EPOCH Perhaps Leadership;
    UNKNOWN_LEADER_EPOCH Perhaps Leadership;
    UNSUPPORTED_COMPRESSION_TYPE NotAppended NotAllowed;
    STALE_BROKER_EPOCH Perhaps Unclassified;
    OFFSET_NOT_AVAILABLE Perhaps Unclassified;
    MEMBER_ID_REQUIRED Perhaps Unclassified;
    PREFERRED_LEADER_NOT_AVAILABLE Perhaps Unclassified;
    GROUP_MAX_SIZE_REACHED Perhaps Unclassified;
    FENCED_INSTANCE_ID Perhaps Unclassified;
    ELIGIBLE_LEADERS_NOT_AVAILABLE Perhaps Unclassified;
    ELECTION_NOT_NEEDED Perhaps Unclassified;
    NO_REASSIGNMENT_IN_PROGRESS Perhaps Unclassified;
    GROUP_SUBSCRIBED_TO_TOPIC Perhaps Unclassified;
    INVALID_RECORD NotAppended BadRecord;
    UNSTABLE_OFFSET_COMMIT Perhaps Unclassified;
    THROTTLING_QUOTA_EXCEEDED NotAppended Availability;
    PRODUCER_FENCED NotAppended ProducerUnknown;
    RESOURCE_NOT_FOUND Perhaps Unclassified;
    DUPLICATE_RESOURCE Perhaps Unclassified;
    UNACCEPTABLE_CREDENTIAL Perhaps Unclassified;
    INCONSISTENT_VOTER_SET Perhaps Unclassified;
    INVALID_UPDATE_VERSION Perhaps Unclassified;
    FEATURE_UPDATE_FAILED Perhaps Unclassified;
    PRINCIPAL_DESERIALIZATION_FAILURE Perhaps Unclassified;
    SNAPSHOT_NOT_FOUND Perhaps Unclassified;
    POSITION_OUT_OF_RANGE Perhaps Unclassified;
    UNKNOWN_TOPIC_ID Perhaps Leadership;
    DUPLICATE_BROKER_REGISTRATION Perhaps Unclassified;
    BROKER_ID_NOT_REGISTERED Perhaps Unclassified;
    INCONSISTENT_TOPIC_ID Perhaps Leadership;
    INCONSISTENT_CLUSTER_ID Perhaps Unclassified;
    TRANSACTIONAL_ID_NOT_FOUND Perhaps Unclassified;
    FETCH_SESSION_TOPIC_ID_ERROR Perhaps Unclassified;
    INELIGIBLE_REPLICA Perhaps Unclassified;
    NEW_LEADER_ELECTED Perhaps Unclassified;
    OFFSET_MOVED_TO_TIERED_STORAGE Perhaps Unclassified;
    FENCED_MEMBER_EPOCH Perhaps Unclassified;
    UNRELEASED_INSTANCE_ID Perhaps Unclassified;
    UNSUPPORTED_ASSIGNOR Perhaps Unclassified;
    STALE_MEMBER_EPOCH Perhaps Unclassified;
    MISMATCHED_ENDPOINT_TYPE Perhaps Unclassified;
    UNSUPPORTED_ENDPOINT_TYPE Perhaps Unclassified;
    UNKNOWN_CONTROLLER_ID Perhaps Unclassified;
    UNKNOWN_SUBSCRIPTION_ID Perhaps Unclassified;
    TELEMETRY_TOO_LARGE Perhaps Unclassified;
    INVALID_REGISTRATION Perhaps Unclassified;
    TRANSACTION_ABORTABLE Perhaps Unclassified;
    INVALID_RECORD_STATE Perhaps Unclassified;
    SHARE_SESSION_NOT_FOUND Perhaps Unclassified;
    INVALID_SHARE_SESSION_EPOCH Perhaps Unclassified;
    FENCED_STATE_EPOCH Perhaps Unclassified;
    INVALID_VOTER_KEY Perhaps Unclassified;
    DUPLICATE_VOTER Perhaps Unclassified;
    VOTER_NOT_FOUND Perhaps Unclassified;
    INVALID_REGULAR_EXPRESSION Perhaps Unclassified;
    REBOOTSTRAP_REQUIRED Perhaps Unclassified;
    STREAMS_INVALID_TOPOLOGY Perhaps Unclassified;
    STREAMS_INVALID_TOPOLOGY_EPOCH Perhaps Unclassified;
    STREAMS_TOPOLOGY_FENCED Perhaps Unclassified;
    SHARE_SESSION_LIMIT_REACHED Perhaps Unclassified;
    GROUP_DELETION_FAILED Perhaps Unclassified;
    STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED Perhaps Unclassified;
    CONTROLLER_ID_NOT_REGISTERED Perhaps Unclassified;
};

/// Returns what a code proves with these acks, and its class.
#[must_use]
pub fn classify(code: ErrorCode, acks: Acks) -> (Proof, Class) {
    let unknown = (Proof::Perhaps, Class::Unclassified);
    let index = usize::try_from(i32::from(code.0) + 1).ok();
    let row = index.and_then(|index| TABLE.get(index));
    let (proof, class) = row
        .filter(|(known, ..)| *known == code)
        .map_or(unknown, |(_, proof, class)| (*proof, *class));
    // A leader that waits for nobody answers these before the append.
    let is_before = acks == Acks::Leader
        && proof == Proof::Perhaps
        && !matches!(
            code,
            ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::UNKNOWN_SERVER_ERROR
        )
        && class != Class::Unclassified;
    (if is_before { Proof::NotAppended } else { proof }, class)
}

/// Knowledge of a batch whose refusal is to be decided on.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Some attempt of it was perhaps appended.
    pub in_doubt: bool,
    /// Number of attempts in a row with an answer of this class, this one included.
    pub repeats: u32,
    /// It holds a single call.
    pub is_single_call: bool,
    /// It carries a stamp.
    pub is_stamped: bool,
    /// The partition may go on without idempotence.
    pub may_drop_idempotence: bool,
    /// Handling of refusals that an operator can lift.
    pub on_refused: OnRefused,
}

/// Decision about a refused batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Kafka has it; the offset is not known.
    Delivered,
    /// Send it again, unchanged and in order, after a delay.
    Resend,
    /// The same, to the leader that metadata names.
    ResendToLeader,
    /// The same over a new connection, which negotiates versions anew.
    Reconnect,
    /// Send it again less often, and report the refusal.
    Hold,
    /// Send it again ever less often, and report the code.
    ResendUnclassified,
    /// Cut it between calls and send the pieces.
    Split,
    /// Find the call that is at fault and send the others.
    Isolate,
    /// Go on without idempotence.
    DropIdempotence,
    /// Find out the broker's state of the identity, or use another one.
    CheckIdentity,
    /// It is not in Kafka and will not be sent again.
    GiveUp,
}

/// The verdict on a refused batch. A batch in doubt is never split or given up: it is sent again
/// unchanged until its fate is known.
#[must_use]
pub fn verdict(class: Class, situation: &Situation) -> Verdict {
    let final_only = |verdict| {
        if situation.in_doubt {
            Verdict::Hold
        } else {
            verdict
        }
    };
    match class {
        Class::Success => Verdict::Delivered,
        Class::Leadership => Verdict::ResendToLeader,
        Class::Availability => Verdict::Resend,
        Class::Corrupt if situation.repeats < 2 => Verdict::Resend,
        Class::Corrupt | Class::BadRecord if situation.is_single_call => {
            final_only(Verdict::GiveUp)
        }
        Class::Corrupt | Class::BadRecord => final_only(Verdict::Isolate),
        Class::TooLarge if situation.is_single_call => final_only(Verdict::GiveUp),
        Class::TooLarge => final_only(Verdict::Split),
        Class::NotAllowed if situation.may_drop_idempotence => final_only(Verdict::DropIdempotence),
        Class::NotAllowed if situation.on_refused == OnRefused::Fail => final_only(Verdict::GiveUp),
        Class::NotAllowed => Verdict::Hold,
        Class::ProducerUnknown if situation.is_stamped => Verdict::CheckIdentity,
        // To a batch without a stamp these mean nothing.
        Class::ProducerUnknown | Class::Unclassified => Verdict::ResendUnclassified,
        Class::NeverValid => final_only(Verdict::GiveUp),
        Class::Version if situation.repeats < 2 => Verdict::Reconnect,
        Class::Version => Verdict::Hold,
    }
}

/// A refusal that is not resolved yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The broker's code.
    pub code: ErrorCode,
    /// Its words, where it gave any.
    pub message: Option<Arc<str>>,
    /// Number of times in a row that it was given.
    pub count: u32,
    /// True if the records wait for somebody to lift it.
    pub is_held: bool,
}

#[cfg(test)]
mod tests {
    use wolff_codec::Appended;

    use super::*;

    fn all_situations() -> impl Iterator<Item = Situation> {
        (0..64u32).map(|bits| Situation {
            in_doubt: bits & 1 != 0,
            repeats: if bits & 2 != 0 { 1 } else { 5 },
            is_single_call: bits & 4 != 0,
            is_stamped: bits & 8 != 0,
            may_drop_idempotence: bits & 16 != 0,
            on_refused: if bits & 32 != 0 {
                OnRefused::Fail
            } else {
                OnRefused::Hold
            },
        })
    }

    #[test]
    fn the_codec_gives_the_same_evidence() {
        let mut other = Vec::new();
        for (code, proof, _) in TABLE {
            let evidence = match proof {
                Proof::Appended => Appended::Yes,
                Proof::NotAppended => Appended::No,
                Proof::Perhaps | Proof::Unknown => Appended::Perhaps,
            };
            if code.appended() != evidence {
                other.push((code, proof, code.appended()));
            }
        }
        assert_eq!(other, []);
    }

    #[test]
    fn every_code_of_the_codec_has_a_row_at_its_place() {
        let codes: Vec<ErrorCode> = TABLE.iter().map(|(code, ..)| *code).collect();
        assert_eq!(codes, ErrorCode::NAMED);
        for code in ErrorCode::NAMED {
            let (proof, class) = classify(*code, Acks::All);
            assert!(TABLE.contains(&(*code, proof, class)));
        }
        for unnamed in [
            ErrorCode(-2),
            ErrorCode(137),
            ErrorCode(i16::MAX),
            ErrorCode(i16::MIN),
        ] {
            assert_eq!(
                classify(unnamed, Acks::All),
                (Proof::Perhaps, Class::Unclassified)
            );
        }
    }

    #[test]
    fn a_batch_in_doubt_is_never_split_given_up_or_sent_without_its_numbers() {
        for (code, _, class) in TABLE {
            for situation in all_situations().filter(|situation| situation.in_doubt) {
                let verdict = verdict(*class, &situation);
                let ends = [
                    Verdict::GiveUp,
                    Verdict::Split,
                    Verdict::Isolate,
                    Verdict::DropIdempotence,
                ];
                assert!(!ends.contains(&verdict), "{code}: {verdict:?}");
            }
        }
    }

    #[test]
    fn only_what_is_definitely_not_appended_is_ever_given_up() {
        for (code, proof, class) in TABLE {
            for situation in all_situations() {
                if verdict(*class, &situation) == Verdict::GiveUp {
                    assert_eq!(*proof, Proof::NotAppended, "{code}");
                }
            }
        }
    }

    #[test]
    fn answers_that_can_follow_an_append_leave_doubt() {
        for code in [3, 6, 7, 20, 56, -1, 13, 100, 103] {
            assert_eq!(
                classify(ErrorCode(code), Acks::All).0,
                Proof::Perhaps,
                "{code}"
            );
        }
        for code in [3, 6, 7, 20] {
            assert_eq!(
                classify(ErrorCode(code), Acks::Leader).0,
                Proof::NotAppended
            );
        }
        for code in [56, -1] {
            assert_eq!(classify(ErrorCode(code), Acks::Leader).0, Proof::Perhaps);
        }
    }
}
