//! Error codes: the reason why a broker refuses a request, what a client does then, and what the
//! code proves.

use std::fmt;

/// The error code of a response. Codes that have no name here are valid and kept as they are; as in
/// Apache Kafka's own client they are not called retriable, and a Produce response with such a code
/// proves nothing.
///
/// Each constant says what Apache Kafka's own client does: which codes are retriable, and which
/// after new metadata. For Produce it says what the code proves about the batch, if it proves
/// anything: see [`appended`](Self::appended).
///
/// ```
/// use wolff_codec::{Appended, ErrorCode};
///
/// let code = ErrorCode(6);
/// assert_eq!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
/// assert!(code.is_retriable() && code.needs_metadata_refresh());
/// assert_eq!(code.appended(), Appended::Perhaps);
/// assert_eq!(ErrorCode(4711).to_string(), "error code 4711");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ErrorCode(pub i16);

/// Evidence about a batch, from the code that a Produce request with acks -1 was answered with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Appended {
    /// The batch is in the log: appended by this attempt, or by an earlier one.
    Yes,
    /// This attempt did not append the batch. An earlier attempt may have.
    No,
    /// The batch may be in the log.
    Perhaps,
}

/// The class of an error code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Success.
    Ok,
    /// The same request may succeed later, at the same broker.
    Retriable,
    /// The request may succeed later, elsewhere: what the client knows of the cluster is out of
    /// date.
    Stale,
    /// This request fails, others may succeed.
    Final,
    /// Nothing of this kind will succeed with this identity, configuration or these permissions.
    Fatal,
}

/// Declares the constants, names and kinds from one table.
macro_rules! error_codes {
    (@advice Ok) => { "Success." };
    (@advice Retriable) => { "Retriable: the same request may succeed later." };
    (@advice Stale) => { "Retriable, after the client has asked for metadata again." };
    (@advice Final) => { "Final: this request fails, others may succeed." };
    (@advice Fatal) => {
        "Fatal: nothing of this kind succeeds with this identity until an operator changes permissions or configuration."
    };
    (@proof Yes) => { " In a Produce response: the batch is in the log." };
    (@proof No) => { " In a Produce response: this attempt did not append the batch." };
    ($($code:literal $name:ident $kind:ident $($proof:ident)?,)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Code ", $code, ". ", error_codes!(@advice $kind) $(, error_codes!(@proof $proof))?)]
                pub const $name: Self = Self($code);
            )*

            /// Every code that has a name, in ascending order.
            pub const NAMED: &'static [Self] = &[$(Self($code),)*];

            /// Kafka's name of the code; none for codes that Kafka 4 does not have.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// Evidence about the batch of a Produce request with acks -1 that is answered with
            /// this code.
            ///
            /// Most codes leave it open: a leader that appended the batch, waited for its followers
            /// and lost the leadership meanwhile answers `NOT_LEADER_OR_FOLLOWER`, for example, and
            /// so it may with any code that has no name here. [`Appended::No`] is about this
            /// attempt alone. `OUT_OF_ORDER_SEQUENCE_NUMBER` and `UNKNOWN_PRODUCER_ID` are not
            /// among those: they say only that the broker does not know the batch.
            #[must_use]
            pub fn appended(self) -> Appended {
                match self.0 {
                    $($($code => Appended::$proof,)?)*
                    _ => Appended::Perhaps,
                }
            }

            fn kind(self) -> Kind {
                match self.0 {
                    $($code => Kind::$kind,)*
                    _ => Kind::Final,
                }
            }
        }
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR Final,
    0 NONE Ok Yes,
    1 OFFSET_OUT_OF_RANGE Final,
    2 CORRUPT_MESSAGE Retriable No,
    3 UNKNOWN_TOPIC_OR_PARTITION Stale,
    4 INVALID_FETCH_SIZE Final,
    5 LEADER_NOT_AVAILABLE Stale,
    6 NOT_LEADER_OR_FOLLOWER Stale,
    7 REQUEST_TIMED_OUT Retriable,
    8 BROKER_NOT_AVAILABLE Final,
    9 REPLICA_NOT_AVAILABLE Stale,
    10 MESSAGE_TOO_LARGE Final No,
    11 STALE_CONTROLLER_EPOCH Final,
    12 OFFSET_METADATA_TOO_LARGE Final,
    13 NETWORK_EXCEPTION Stale,
    14 COORDINATOR_LOAD_IN_PROGRESS Retriable,
    15 COORDINATOR_NOT_AVAILABLE Retriable,
    16 NOT_COORDINATOR Retriable,
    17 INVALID_TOPIC_EXCEPTION Final No,
    18 RECORD_LIST_TOO_LARGE Final No,
    19 NOT_ENOUGH_REPLICAS Retriable No,
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retriable,
    21 INVALID_REQUIRED_ACKS Final No,
    22 ILLEGAL_GENERATION Final,
    23 INCONSISTENT_GROUP_PROTOCOL Final,
    24 INVALID_GROUP_ID Final,
    25 UNKNOWN_MEMBER_ID Final,
    26 INVALID_SESSION_TIMEOUT Final,
    27 REBALANCE_IN_PROGRESS Final,
    28 INVALID_COMMIT_OFFSET_SIZE Final,
    29 TOPIC_AUTHORIZATION_FAILED Fatal No,
    30 GROUP_AUTHORIZATION_FAILED Fatal,
    31 CLUSTER_AUTHORIZATION_FAILED Fatal No,
    32 INVALID_TIMESTAMP Final No,
    33 UNSUPPORTED_SASL_MECHANISM Fatal,
    34 ILLEGAL_SASL_STATE Fatal,
    35 UNSUPPORTED_VERSION Fatal No,
    36 TOPIC_ALREADY_EXISTS Final,
    37 INVALID_PARTITIONS Final,
    38 INVALID_REPLICATION_FACTOR Final,
    39 INVALID_REPLICA_ASSIGNMENT Final,
    40 INVALID_CONFIG Final,
    41 NOT_CONTROLLER Retriable,
    42 INVALID_REQUEST Final,
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Final No,
    44 POLICY_VIOLATION Final No,
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Final,
    46 DUPLICATE_SEQUENCE_NUMBER Final Yes,
    47 INVALID_PRODUCER_EPOCH Final No,
    48 INVALID_TXN_STATE Final,
    49 INVALID_PRODUCER_ID_MAPPING Final,
    50 INVALID_TRANSACTION_TIMEOUT Final,
    51 CONCURRENT_TRANSACTIONS Retriable,
    52 TRANSACTION_COORDINATOR_FENCED Final,
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Fatal No,
    54 SECURITY_DISABLED Final,
    55 OPERATION_NOT_ATTEMPTED Final,
    56 KAFKA_STORAGE_ERROR Stale,
    57 LOG_DIR_NOT_FOUND Final,
    58 SASL_AUTHENTICATION_FAILED Fatal,
    59 UNKNOWN_PRODUCER_ID Final,
    60 REASSIGNMENT_IN_PROGRESS Final,
    61 DELEGATION_TOKEN_AUTH_DISABLED Final,
    62 DELEGATION_TOKEN_NOT_FOUND Final,
    63 DELEGATION_TOKEN_OWNER_MISMATCH Final,
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Final,
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Fatal,
    66 DELEGATION_TOKEN_EXPIRED Final,
    67 INVALID_PRINCIPAL_TYPE Final,
    68 NON_EMPTY_GROUP Final,
    69 GROUP_ID_NOT_FOUND Final,
    70 FETCH_SESSION_ID_NOT_FOUND Retriable,
    71 INVALID_FETCH_SESSION_EPOCH Retriable,
    72 LISTENER_NOT_FOUND Stale,
    73 TOPIC_DELETION_DISABLED Final,
    74 FENCED_LEADER_EPOCH Stale,
    75 UNKNOWN_LEADER_EPOCH Retriable,
    76 UNSUPPORTED_COMPRESSION_TYPE Final No,
    77 STALE_BROKER_EPOCH Final,
    78 OFFSET_NOT_AVAILABLE Retriable,
    79 MEMBER_ID_REQUIRED Final,
    80 PREFERRED_LEADER_NOT_AVAILABLE Stale,
    81 GROUP_MAX_SIZE_REACHED Final,
    82 FENCED_INSTANCE_ID Fatal,
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Stale,
    84 ELECTION_NOT_NEEDED Stale,
    85 NO_REASSIGNMENT_IN_PROGRESS Final,
    86 GROUP_SUBSCRIBED_TO_TOPIC Final,
    87 INVALID_RECORD Final No,
    88 UNSTABLE_OFFSET_COMMIT Retriable,
    89 THROTTLING_QUOTA_EXCEEDED Retriable No,
    90 PRODUCER_FENCED Fatal No,
    91 RESOURCE_NOT_FOUND Final,
    92 DUPLICATE_RESOURCE Final,
    93 UNACCEPTABLE_CREDENTIAL Final,
    94 INCONSISTENT_VOTER_SET Final,
    95 INVALID_UPDATE_VERSION Final,
    96 FEATURE_UPDATE_FAILED Final,
    97 PRINCIPAL_DESERIALIZATION_FAILURE Final,
    98 SNAPSHOT_NOT_FOUND Final,
    99 POSITION_OUT_OF_RANGE Final,
    100 UNKNOWN_TOPIC_ID Stale,
    101 DUPLICATE_BROKER_REGISTRATION Final,
    102 BROKER_ID_NOT_REGISTERED Final,
    103 INCONSISTENT_TOPIC_ID Stale,
    104 INCONSISTENT_CLUSTER_ID Final,
    105 TRANSACTIONAL_ID_NOT_FOUND Final,
    106 FETCH_SESSION_TOPIC_ID_ERROR Retriable,
    107 INELIGIBLE_REPLICA Final,
    108 NEW_LEADER_ELECTED Final,
    109 OFFSET_MOVED_TO_TIERED_STORAGE Final,
    110 FENCED_MEMBER_EPOCH Final,
    111 UNRELEASED_INSTANCE_ID Final,
    112 UNSUPPORTED_ASSIGNOR Final,
    113 STALE_MEMBER_EPOCH Final,
    114 MISMATCHED_ENDPOINT_TYPE Final,
    115 UNSUPPORTED_ENDPOINT_TYPE Final,
    116 UNKNOWN_CONTROLLER_ID Final,
    117 UNKNOWN_SUBSCRIPTION_ID Final,
    118 TELEMETRY_TOO_LARGE Final,
    119 INVALID_REGISTRATION Final,
    120 TRANSACTION_ABORTABLE Final,
    121 INVALID_RECORD_STATE Final,
    122 SHARE_SESSION_NOT_FOUND Retriable,
    123 INVALID_SHARE_SESSION_EPOCH Retriable,
    124 FENCED_STATE_EPOCH Final,
    125 INVALID_VOTER_KEY Final,
    126 DUPLICATE_VOTER Final,
    127 VOTER_NOT_FOUND Final,
    128 INVALID_REGULAR_EXPRESSION Final,
    129 REBOOTSTRAP_REQUIRED Final,
    130 STREAMS_INVALID_TOPOLOGY Final,
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Final,
    132 STREAMS_TOPOLOGY_FENCED Final,
    133 SHARE_SESSION_LIMIT_REACHED Retriable,
    134 GROUP_DELETION_FAILED Final,
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED Final,
    136 CONTROLLER_ID_NOT_REGISTERED Final,
}

impl ErrorCode {
    /// True if the broker did what it was asked.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::NONE
    }

    /// True if the same request may succeed later, perhaps at another broker.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(self.kind(), Kind::Retriable | Kind::Stale)
    }

    /// True if the client should ask for metadata again before it retries.
    #[must_use]
    pub fn needs_metadata_refresh(self) -> bool {
        self.kind() == Kind::Stale
    }

    /// True if the client should look the group's or transaction's coordinator up again before it
    /// retries.
    #[must_use]
    pub fn needs_coordinator_lookup(self) -> bool {
        matches!(
            self,
            Self::COORDINATOR_NOT_AVAILABLE | Self::NOT_COORDINATOR
        )
    }

    /// True if nothing of this kind can succeed until an operator changes permissions or
    /// configuration, or because a newer instance has taken this producer's place.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        self.kind() == Kind::Fatal
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_gaps() {
        let codes: Vec<i16> = ErrorCode::NAMED.iter().map(|code| code.0).collect();
        assert_eq!(codes, (-1..=136).collect::<Vec<i16>>());
    }

    #[test]
    fn success_asks_for_nothing() {
        let none = ErrorCode::NONE;
        assert!(none.is_ok());
        assert!(!none.is_retriable() && !none.needs_metadata_refresh() && !none.is_fatal());
    }

    #[test]
    fn an_unknown_code_survives_and_is_final() {
        let code = ErrorCode(i16::MAX);
        assert_eq!(code.name(), None);
        assert!(!code.is_ok() && !code.is_retriable() && !code.is_fatal());
    }

    #[test]
    fn a_code_proves_only_what_a_broker_knows_before_or_after_the_append() {
        let proving = |appended| {
            let codes = ErrorCode::NAMED.iter().copied();
            codes.filter(move |code| code.appended() == appended)
        };
        let yes: Vec<ErrorCode> = proving(Appended::Yes).collect();
        assert_eq!(yes, [ErrorCode::NONE, ErrorCode::DUPLICATE_SEQUENCE_NUMBER]);
        assert_eq!(proving(Appended::No).count(), 18);
        for perhaps in [
            ErrorCode::UNKNOWN_SERVER_ERROR,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::NETWORK_EXCEPTION,
            ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            ErrorCode::KAFKA_STORAGE_ERROR,
            ErrorCode::UNKNOWN_PRODUCER_ID,
            ErrorCode::UNKNOWN_TOPIC_ID,
            ErrorCode::INCONSISTENT_TOPIC_ID,
            ErrorCode(4711),
        ] {
            assert_eq!(perhaps.appended(), Appended::Perhaps, "{perhaps}");
        }
    }

    #[test]
    fn a_moved_leader_asks_for_fresh_metadata_and_a_full_broker_does_not() {
        assert!(ErrorCode::NOT_LEADER_OR_FOLLOWER.needs_metadata_refresh());
        assert!(ErrorCode::NOT_ENOUGH_REPLICAS.is_retriable());
        assert!(!ErrorCode::NOT_ENOUGH_REPLICAS.needs_metadata_refresh());
        assert!(ErrorCode::NOT_COORDINATOR.needs_coordinator_lookup());
    }
}
