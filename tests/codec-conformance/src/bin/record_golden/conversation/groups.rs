//! The classic group protocol: members join, are assigned partitions, commit, and leave.

use std::thread;

use wolff_codec::messages::*;
use wolff_codec::{ApiKey, LeaderEpoch, Offset, PartitionId, Str, TopicId};

use super::requests::TOPIC;
use super::{ATTEMPTS, Conversation, PAUSE};
use crate::connection::Failure;

/// A version of JoinGroup that every release knows, and that wants an id before a member joins.
const JOIN_VERSION: i16 = 5;

const SESSION_TIMEOUT_MS: i32 = 30_000;

/// A member of a group of its own.
struct Member {
    group_id: Str,
    member_id: Str,
    generation_id: i32,
}

impl Conversation {
    /// Every request of the protocol, and those about groups, in every version.
    pub(super) fn form_groups(&mut self) -> Result<(), Failure> {
        for version in self.common(ApiKey::JOIN_GROUP) {
            self.join(&format!("join-{version}"), version)?;
        }
        for version in self.common(ApiKey::SYNC_GROUP) {
            let member = self.join(&format!("sync-{version}"), JOIN_VERSION)?;
            self.ask(member.sync(version)?, version)?;
        }
        let member = self.join("stable", JOIN_VERSION)?;
        self.ask(member.sync(3)?, 3)?;
        for version in self.common(ApiKey::HEARTBEAT) {
            self.ask(member.heartbeat(), version)?;
        }
        for version in self.common(ApiKey::OFFSET_COMMIT) {
            let commit = self.commit(&member);
            self.ask(commit, version)?;
        }
        for version in self.common(ApiKey::OFFSET_FETCH) {
            self.ask(member.fetch_offsets(version, self.topic_id), version)?;
        }
        for version in self.common(ApiKey::DESCRIBE_GROUPS) {
            self.ask(member.describe(version), version)?;
        }
        for version in self.common(ApiKey::LIST_GROUPS) {
            self.ask(ListGroupsRequest::default(), version)?;
        }
        for version in self.common(ApiKey::LEAVE_GROUP) {
            let member = self.join(&format!("leave-{version}"), JOIN_VERSION)?;
            self.ask(member.leave(version), version)?;
        }
        for version in self.common(ApiKey::DELETE_GROUPS) {
            let request = DeleteGroupsRequest {
                groups_names: vec![group(&format!("leave-{version}")), member.group_id.clone()],
                ..Default::default()
            };
            self.ask(request, version)?;
        }
        Ok(())
    }

    /// Joins as the only member; the coordinator may have to load first, and may want another
    /// request with the id that it gives.
    fn join(&mut self, what: &str, version: i16) -> Result<Member, Failure> {
        let group_id = group(what);
        let subscription = ConsumerProtocolSubscription {
            topics: vec![TOPIC],
            ..Default::default()
        };
        let protocol = JoinGroupRequestProtocol {
            name: Str::from_static("range"),
            metadata: subscription.encode(1)?,
            ..Default::default()
        };
        let mut request = JoinGroupRequest {
            group_id: group_id.clone(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: SESSION_TIMEOUT_MS,
            protocol_type: Str::from_static("consumer"),
            protocols: vec![protocol],
            ..Default::default()
        };
        for _ in 0..ATTEMPTS {
            let AnyResponse::JoinGroup(joined) = self.ask(request.clone(), version)? else {
                return Err("an answer of another kind".into());
            };
            if joined.error_code.is_ok() {
                return Ok(Member {
                    group_id,
                    member_id: joined.member_id,
                    generation_id: joined.generation_id,
                });
            }
            request.member_id = joined.member_id;
            thread::sleep(PAUSE);
        }
        Err(format!("not in the group {group_id} after {ATTEMPTS} attempts").into())
    }

    fn commit(&self, member: &Member) -> OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition {
            committed_offset: Offset(1),
            committed_leader_epoch: LeaderEpoch(0),
            committed_metadata: Some(Str::from_static("note")),
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: TOPIC,
            topic_id: self.topic_id,
            partitions: vec![partition],
            ..Default::default()
        };
        OffsetCommitRequest {
            group_id: member.group_id.clone(),
            generation_id_or_member_epoch: member.generation_id,
            member_id: member.member_id.clone(),
            topics: vec![topic],
            ..Default::default()
        }
    }
}

impl Member {
    fn sync(&self, version: i16) -> Result<SyncGroupRequest, Failure> {
        let assigned = ConsumerProtocolAssignment {
            assigned_partitions: vec![TopicPartitions {
                topic: TOPIC,
                partitions: vec![PartitionId(0)],
            }],
            user_data: None,
        };
        let assignment = SyncGroupRequestAssignment {
            member_id: self.member_id.clone(),
            assignment: assigned.encode(1)?,
            ..Default::default()
        };
        let named = |name| (version >= 5).then(|| Str::from_static(name));
        Ok(SyncGroupRequest {
            group_id: self.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            protocol_type: named("consumer"),
            protocol_name: named("range"),
            assignments: vec![assignment],
            ..Default::default()
        })
    }

    fn heartbeat(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            ..Default::default()
        }
    }

    fn fetch_offsets(&self, version: i16, topic_id: TopicId) -> OffsetFetchRequest {
        let topics = Some(vec![OffsetFetchRequestTopic {
            name: TOPIC,
            topic_id,
            partition_indexes: vec![PartitionId(0)],
            ..Default::default()
        }]);
        if version < 8 {
            return OffsetFetchRequest {
                group_id: self.group_id.clone(),
                topics,
                ..Default::default()
            };
        }
        let group = OffsetFetchRequestGroup {
            group_id: self.group_id.clone(),
            topics,
            ..Default::default()
        };
        OffsetFetchRequest {
            groups: vec![group],
            ..Default::default()
        }
    }

    fn describe(&self, version: i16) -> DescribeGroupsRequest {
        DescribeGroupsRequest {
            groups: vec![self.group_id.clone()],
            include_authorized_operations: version >= 3,
            ..Default::default()
        }
    }

    fn leave(&self, version: i16) -> LeaveGroupRequest {
        if version < 3 {
            return LeaveGroupRequest {
                group_id: self.group_id.clone(),
                member_id: self.member_id.clone(),
                ..Default::default()
            };
        }
        let member = MemberIdentity {
            member_id: self.member_id.clone(),
            reason: Some(Str::from_static("it is late")),
            ..Default::default()
        };
        LeaveGroupRequest {
            group_id: self.group_id.clone(),
            members: vec![member],
            ..Default::default()
        }
    }
}

fn group(what: &str) -> Str {
    Str::from(format!("wolff-golden-{what}"))
}
