//! Which API a request belongs to.

use std::fmt;

/// The key of an API: the first number of every request. Keys that have no name here are valid and
/// kept as they are.
///
/// ```
/// use wolff_codec::ApiKey;
///
/// assert_eq!(ApiKey::PRODUCE.to_string(), "Produce");
/// assert_eq!(ApiKey(4711).to_string(), "api 4711");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ApiKey(pub i16);

/// Declares the constants, the names and the first flexible versions from one table.
macro_rules! api_keys {
    (@first_flexible since $version:literal) => { Some($version) };
    (@first_flexible never) => { None };
    ($($key:literal $constant:ident $name:ident $flexible:ident $($version:literal)?,)*) => {
        impl ApiKey {
            $(
                #[doc = concat!("`", stringify!($name), "`, key ", $key, ".")]
                pub const $constant: Self = Self($key);
            )*

            /// Every key that has a name, in ascending order.
            pub const NAMED: &'static [Self] = &[$(Self($key),)*];

            /// Kafka's name of the API, without "Request"; none for keys that Kafka 4 does not
            /// have.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($key => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// The first version with compact lengths and tagged fields (KIP-482); none if there is
            /// none yet. Keys that have no name here are flexible from the start, as every API is
            /// that was added since Kafka 2.4.
            #[must_use]
            pub fn first_flexible_version(self) -> Option<i16> {
                match self.0 {
                    $($key => api_keys!(@first_flexible $flexible $($version)?),)*
                    _ => Some(0),
                }
            }
        }
    };
}

api_keys! {
    0 PRODUCE Produce since 9,
    1 FETCH Fetch since 12,
    2 LIST_OFFSETS ListOffsets since 6,
    3 METADATA Metadata since 9,
    4 LEADER_AND_ISR LeaderAndIsr since 4,
    5 STOP_REPLICA StopReplica since 2,
    6 UPDATE_METADATA UpdateMetadata since 6,
    7 CONTROLLED_SHUTDOWN ControlledShutdown since 3,
    8 OFFSET_COMMIT OffsetCommit since 8,
    9 OFFSET_FETCH OffsetFetch since 6,
    10 FIND_COORDINATOR FindCoordinator since 3,
    11 JOIN_GROUP JoinGroup since 6,
    12 HEARTBEAT Heartbeat since 4,
    13 LEAVE_GROUP LeaveGroup since 4,
    14 SYNC_GROUP SyncGroup since 4,
    15 DESCRIBE_GROUPS DescribeGroups since 5,
    16 LIST_GROUPS ListGroups since 3,
    17 SASL_HANDSHAKE SaslHandshake never,
    18 API_VERSIONS ApiVersions since 3,
    19 CREATE_TOPICS CreateTopics since 5,
    20 DELETE_TOPICS DeleteTopics since 4,
    21 DELETE_RECORDS DeleteRecords since 2,
    22 INIT_PRODUCER_ID InitProducerId since 2,
    23 OFFSET_FOR_LEADER_EPOCH OffsetForLeaderEpoch since 4,
    24 ADD_PARTITIONS_TO_TXN AddPartitionsToTxn since 3,
    25 ADD_OFFSETS_TO_TXN AddOffsetsToTxn since 3,
    26 END_TXN EndTxn since 3,
    27 WRITE_TXN_MARKERS WriteTxnMarkers since 1,
    28 TXN_OFFSET_COMMIT TxnOffsetCommit since 3,
    29 DESCRIBE_ACLS DescribeAcls since 2,
    30 CREATE_ACLS CreateAcls since 2,
    31 DELETE_ACLS DeleteAcls since 2,
    32 DESCRIBE_CONFIGS DescribeConfigs since 4,
    33 ALTER_CONFIGS AlterConfigs since 2,
    34 ALTER_REPLICA_LOG_DIRS AlterReplicaLogDirs since 2,
    35 DESCRIBE_LOG_DIRS DescribeLogDirs since 2,
    36 SASL_AUTHENTICATE SaslAuthenticate since 2,
    37 CREATE_PARTITIONS CreatePartitions since 2,
    38 CREATE_DELEGATION_TOKEN CreateDelegationToken since 2,
    39 RENEW_DELEGATION_TOKEN RenewDelegationToken since 2,
    40 EXPIRE_DELEGATION_TOKEN ExpireDelegationToken since 2,
    41 DESCRIBE_DELEGATION_TOKEN DescribeDelegationToken since 2,
    42 DELETE_GROUPS DeleteGroups since 2,
    43 ELECT_LEADERS ElectLeaders since 2,
    44 INCREMENTAL_ALTER_CONFIGS IncrementalAlterConfigs since 1,
    45 ALTER_PARTITION_REASSIGNMENTS AlterPartitionReassignments since 0,
    46 LIST_PARTITION_REASSIGNMENTS ListPartitionReassignments since 0,
    47 OFFSET_DELETE OffsetDelete never,
    48 DESCRIBE_CLIENT_QUOTAS DescribeClientQuotas since 1,
    49 ALTER_CLIENT_QUOTAS AlterClientQuotas since 1,
    50 DESCRIBE_USER_SCRAM_CREDENTIALS DescribeUserScramCredentials since 0,
    51 ALTER_USER_SCRAM_CREDENTIALS AlterUserScramCredentials since 0,
    52 VOTE Vote since 0,
    53 BEGIN_QUORUM_EPOCH BeginQuorumEpoch since 1,
    54 END_QUORUM_EPOCH EndQuorumEpoch since 1,
    55 DESCRIBE_QUORUM DescribeQuorum since 0,
    56 ALTER_PARTITION AlterPartition since 0,
    57 UPDATE_FEATURES UpdateFeatures since 0,
    58 ENVELOPE Envelope since 0,
    59 FETCH_SNAPSHOT FetchSnapshot since 0,
    60 DESCRIBE_CLUSTER DescribeCluster since 0,
    61 DESCRIBE_PRODUCERS DescribeProducers since 0,
    62 BROKER_REGISTRATION BrokerRegistration since 0,
    63 BROKER_HEARTBEAT BrokerHeartbeat since 0,
    64 UNREGISTER_BROKER UnregisterBroker since 0,
    65 DESCRIBE_TRANSACTIONS DescribeTransactions since 0,
    66 LIST_TRANSACTIONS ListTransactions since 0,
    67 ALLOCATE_PRODUCER_IDS AllocateProducerIds since 0,
    68 CONSUMER_GROUP_HEARTBEAT ConsumerGroupHeartbeat since 0,
    69 CONSUMER_GROUP_DESCRIBE ConsumerGroupDescribe since 0,
    70 CONTROLLER_REGISTRATION ControllerRegistration since 0,
    71 GET_TELEMETRY_SUBSCRIPTIONS GetTelemetrySubscriptions since 0,
    72 PUSH_TELEMETRY PushTelemetry since 0,
    73 ASSIGN_REPLICAS_TO_DIRS AssignReplicasToDirs since 0,
    74 LIST_CONFIG_RESOURCES ListConfigResources since 0,
    75 DESCRIBE_TOPIC_PARTITIONS DescribeTopicPartitions since 0,
    76 SHARE_GROUP_HEARTBEAT ShareGroupHeartbeat since 0,
    77 SHARE_GROUP_DESCRIBE ShareGroupDescribe since 0,
    78 SHARE_FETCH ShareFetch since 0,
    79 SHARE_ACKNOWLEDGE ShareAcknowledge since 0,
    80 ADD_RAFT_VOTER AddRaftVoter since 0,
    81 REMOVE_RAFT_VOTER RemoveRaftVoter since 0,
    82 UPDATE_RAFT_VOTER UpdateRaftVoter since 0,
    83 INITIALIZE_SHARE_GROUP_STATE InitializeShareGroupState since 0,
    84 READ_SHARE_GROUP_STATE ReadShareGroupState since 0,
    85 WRITE_SHARE_GROUP_STATE WriteShareGroupState since 0,
    86 DELETE_SHARE_GROUP_STATE DeleteShareGroupState since 0,
    87 READ_SHARE_GROUP_STATE_SUMMARY ReadShareGroupStateSummary since 0,
    88 STREAMS_GROUP_HEARTBEAT StreamsGroupHeartbeat since 0,
    89 STREAMS_GROUP_DESCRIBE StreamsGroupDescribe since 0,
    90 DESCRIBE_SHARE_GROUP_OFFSETS DescribeShareGroupOffsets since 0,
    91 ALTER_SHARE_GROUP_OFFSETS AlterShareGroupOffsets since 0,
    92 DELETE_SHARE_GROUP_OFFSETS DeleteShareGroupOffsets since 0,
    93 STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE StreamsGroupTopologyDescriptionUpdate since 0,
    94 UNREGISTER_CONTROLLER UnregisterController since 0,
}

impl ApiKey {
    /// The version of the header in front of a request of that version.
    #[must_use]
    pub fn request_header_version(self, version: i16) -> i16 {
        match self {
            // The oldest of all requests, between brokers only, knows no client id.
            Self::CONTROLLED_SHUTDOWN if version == 0 => 0,
            _ if self.is_flexible(version) => 2,
            _ => 1,
        }
    }

    /// The version of the header in front of the response to a request of that version.
    #[must_use]
    pub fn response_header_version(self, version: i16) -> i16 {
        match self {
            // A client that asks for it does not know yet what the broker speaks (KIP-511).
            Self::API_VERSIONS => 0,
            _ => i16::from(self.is_flexible(version)),
        }
    }

    fn is_flexible(self, version: i16) -> bool {
        self.first_flexible_version()
            .is_some_and(|first| version >= first)
    }
}

impl From<i16> for ApiKey {
    fn from(key: i16) -> Self {
        Self(key)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "api {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_where_kafka_has_them() {
        assert_eq!(ApiKey::API_VERSIONS, ApiKey(18));
        assert_eq!(ApiKey::DESCRIBE_PRODUCERS, ApiKey(61));
        assert_eq!(ApiKey::PUSH_TELEMETRY, ApiKey(72));
        assert_eq!(ApiKey::DELETE_SHARE_GROUP_OFFSETS, ApiKey(92));
        assert!(ApiKey::NAMED.iter().all(|key| key.name().is_some()));
    }

    #[test]
    fn header_versions_follow_flexibility_but_for_two() {
        assert_eq!(ApiKey::PRODUCE.request_header_version(8), 1);
        assert_eq!(ApiKey::PRODUCE.request_header_version(9), 2);
        assert_eq!(ApiKey::PRODUCE.response_header_version(9), 1);
        assert_eq!(ApiKey::SASL_HANDSHAKE.request_header_version(1), 1);
        assert_eq!(ApiKey::API_VERSIONS.request_header_version(3), 2);
        assert_eq!(ApiKey::API_VERSIONS.response_header_version(3), 0);
        assert_eq!(ApiKey::CONTROLLED_SHUTDOWN.request_header_version(0), 0);
    }
}
