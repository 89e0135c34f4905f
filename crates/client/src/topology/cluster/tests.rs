//! Effects of responses on what is known, one after the other.

use wolff_codec::TopicId;
use wolff_codec::messages::MetadataResponseBroker;

use super::*;
use crate::leaders_response::PartitionLeader;

const P0: PartitionId = PartitionId(0);

/// An answer about topic `t`: its id, and for each partition its index, leader, epoch and error.
fn answer(id: u8, partitions: &[(i32, i32, i32, i16)]) -> TopicLeaders {
    let partition = |&(index, leader, epoch, error): &(i32, i32, i32, i16)| PartitionLeader {
        partition_index: PartitionId(index),
        leader_id: BrokerId(leader),
        leader_epoch: LeaderEpoch(epoch),
        error_code: ErrorCode(error),
    };
    TopicLeaders {
        name: Some("t".into()),
        topic_id: TopicId([id; 16]),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    }
}

fn brokers(brokers: &[(i32, &str, i32)]) -> LeadersResponse {
    let broker = |(id, host, port): &(i32, &str, i32)| MetadataResponseBroker {
        node_id: BrokerId(*id),
        host: (*host).into(),
        port: *port,
        ..Default::default()
    };
    LeadersResponse {
        brokers: brokers.iter().map(broker).collect(),
        ..Default::default()
    }
}

/// Takes the answers one after the other, and shows what is known after the last one: leader,
/// epoch and error of each partition.
fn after(answers: &[TopicLeaders]) -> Vec<(i32, i32, i16)> {
    let mut topology = Topology::default();
    for answer in answers {
        let _ = topology.handle_topic(&"t".into(), answer);
    }
    let known = topology.topic("t").unwrap();
    for (index, partition) in (0..).zip(&known.partitions) {
        assert_eq!(partition.partition, PartitionId(index), "no holes");
    }
    let shown = known.partitions.iter().map(|partition| {
        let leader = partition.leader.unwrap_or(BrokerId::NONE);
        (leader.0, partition.leader_epoch.0, partition.error.0)
    });
    shown.collect()
}

#[test]
fn a_newer_epoch_replaces_an_older_one_and_not_the_other_way_round() {
    let (old, new) = (answer(1, &[(0, 1, 4, 0)]), answer(1, &[(0, 2, 5, 0)]));
    assert_eq!(after(&[old.clone(), new.clone()]), [(2, 5, 0)]);
    assert_eq!(after(&[new.clone(), old.clone()]), [(2, 5, 0)]);
    // With topic ids, no insisting makes an old answer new.
    let insisting = [new, old.clone(), old.clone(), old.clone(), old];
    assert_eq!(after(&insisting), [(2, 5, 0)]);
}

#[test]
fn an_error_keeps_the_leader_and_the_epoch() {
    let good = answer(1, &[(0, 1, 4, 0)]);
    assert_eq!(
        after(&[good.clone(), answer(1, &[(0, -1, 4, 5)])]),
        [(1, 4, 5)]
    );
    assert_eq!(
        after(&[good.clone(), answer(1, &[(0, -1, -1, 0)])]),
        [(1, 4, 5)]
    );
    // An error from before the last election is old news.
    assert_eq!(
        after(&[good.clone(), answer(1, &[(0, -1, 3, 5)])]),
        [(1, 4, 0)]
    );
    // A replica that is down does not matter.
    assert_eq!(after(&[good, answer(1, &[(0, 2, 5, 9)])]), [(2, 5, 0)]);
}

#[test]
fn a_hole_keeps_what_was_there_and_a_new_one_has_an_error() {
    let three = answer(1, &[(0, 1, 0, 0), (1, 2, 0, 0), (2, 3, 0, 0)]);
    let expected = [(1, 0, 0), (2, 0, 0), (3, 0, 0)];
    assert_eq!(
        after(&[three.clone(), answer(1, &[(0, 1, 0, 0), (2, 3, 0, 0)])]),
        expected
    );
    assert_eq!(
        after(&[three.clone(), answer(1, &[(0, 1, 0, 0)])]),
        expected
    );
    assert_eq!(after(&[three, answer(1, &[])]), expected);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
    assert_eq!(
        after(&[answer(1, &[(1, 2, 0, 0)])]),
        [(-1, -1, unknown), (2, 0, 0)]
    );
}

#[test]
fn another_topic_id_is_another_topic() {
    let old = answer(1, &[(0, 1, 9, 0), (1, 1, 9, 0)]);
    assert_eq!(after(&[old, answer(2, &[(0, 2, 0, 0)])]), [(2, 0, 0)]);
}

#[test]
fn without_topic_ids_a_contradiction_is_believed_the_third_time() {
    let old = answer(0, &[(0, 1, 9, 0), (1, 1, 9, 0)]);
    let new = answer(0, &[(0, 2, 0, 0)]);
    let twice = [old.clone(), new.clone(), new.clone()];
    assert_eq!(after(&twice), [(1, 9, 0), (1, 9, 0)]);
    let thrice = [old.clone(), new.clone(), new.clone(), new.clone()];
    assert_eq!(after(&thrice), [(2, 0, 0)]);
    let interrupted = [
        old.clone(),
        new.clone(),
        new.clone(),
        old.clone(),
        new.clone(),
    ];
    assert_eq!(after(&interrupted), [(1, 9, 0), (1, 9, 0)]);
    let gone = TopicLeaders {
        error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ..answer(0, &[])
    };
    assert_eq!(
        after(&[old, gone, new]),
        [(2, 0, 0)],
        "its absence was seen"
    );
}

#[test]
fn without_epochs_the_last_answer_counts() {
    let answers = [answer(0, &[(0, 1, -1, 0)]), answer(0, &[(0, 2, -1, 0)])];
    assert_eq!(after(&answers), [(2, -1, 0)]);
}

#[test]
fn indexes_beyond_reason_and_second_entries_are_ignored() {
    let absurd = answer(
        1,
        &[
            (0, 1, 0, 0),
            (i32::MAX, 1, 0, 0),
            (-1, 1, 0, 0),
            (0, 2, 9, 0),
        ],
    );
    assert_eq!(after(&[absurd]), [(1, 0, 0)]);
}

#[test]
fn the_same_answer_again_is_the_same_value() {
    let mut topology = Topology::default();
    let answer = answer(1, &[(0, 1, 0, 0)]);
    let first = topology.handle_topic(&"t".into(), &answer).unwrap();
    let second = topology.handle_topic(&"t".into(), &answer).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    topology.forget_topic("t");
    assert_eq!(topology.topic("t"), None);
}

#[test]
fn brokers_are_sorted_and_an_empty_list_changes_nothing() {
    let mut topology = Topology::default();
    let answer = brokers(&[(2, "b", 2), (1, "a", 1), (3, "c", -1), (2, "twice", 2)]);
    topology.handle_brokers(&answer);
    topology.handle_brokers(&brokers(&[]));
    let cluster = topology.cluster();
    let ids: Vec<_> = cluster.brokers.iter().map(|broker| broker.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(
        topology.addresses(),
        [Address::new("a", 1), Address::new("b", 2)]
    );
    topology.forget_brokers();
    assert!(topology.addresses().is_empty());
}

#[test]
fn a_leader_is_told_only_where_it_can_be_connected_to() {
    let mut topology = Topology::default();
    assert_eq!(topology.leader("t", P0), Err(NoLeader::UnknownTopic));
    topology.handle_brokers(&brokers(&[(1, "a", 1), (2, "b", 0)]));
    let partitions = [(0, 1, 3, 0), (1, 2, 3, 0), (2, 7, 3, 0), (3, -1, 3, 5)];
    topology
        .handle_topic(&"t".into(), &answer(1, &partitions))
        .unwrap();
    let leader = Leader {
        broker: BrokerId(1),
        epoch: LeaderEpoch(3),
        address: Address::new("a", 1),
    };
    assert_eq!(topology.leader("t", P0), Ok(leader));
    for (partition, broker) in [(1, 2), (2, 7)] {
        let outcome = topology.leader("t", PartitionId(partition));
        let unreachable = NoLeader::Unreachable(BrokerId(broker));
        assert_eq!(outcome, Err(unreachable), "the cluster names a leader");
    }
    let outcome = topology.leader("t", PartitionId(3));
    let code = ErrorCode::LEADER_NOT_AVAILABLE;
    assert_eq!(outcome, Err(NoLeader::Code(code)));
    let outcome = topology.leader("t", PartitionId(4));
    assert_eq!(outcome, Err(NoLeader::UnknownPartition));
}

#[test]
fn a_hint_counts_when_it_is_news() {
    let mut topology = Topology::default();
    topology.handle_brokers(&brokers(&[(1, "a", 1)]));
    topology
        .handle_topic(&"t".into(), &answer(1, &[(0, 1, 3, 0)]))
        .unwrap();
    let mut hint = |topic, partition, leader, epoch, address: Option<Address>| {
        let (partition, leader) = (PartitionId(partition), BrokerId(leader));
        topology.handle_leader_hint(topic, partition, leader, LeaderEpoch(epoch), address)
    };
    let there = Address::new("b", 2);
    assert!(!hint("other", 0, 2, 9, Some(there.clone())));
    assert!(!hint("t", 1, 2, 9, Some(there.clone())));
    assert!(!hint("t", 0, -1, 9, Some(there.clone())));
    assert!(!hint("t", 0, 2, 9, None));
    assert!(!hint("t", 0, 2, 3, Some(there.clone())));
    for nowhere in [Address::new("there", 0), Address::new("", 9092)] {
        assert!(!hint("t", 0, 2, 4, Some(nowhere)));
    }
    assert!(hint("t", 0, 2, 4, Some(there.clone())));
    assert!(!hint("t", 0, 1, 4, None));
    assert!(hint("t", 0, 1, 5, None), "back to a broker that is known");
    assert!(hint("t", 0, 2, 6, Some(there.clone())));
    let leader = topology.leader("t", P0).unwrap();
    assert_eq!((leader.epoch, leader.address), (LeaderEpoch(6), there));
    // The next answer may be older than the hint.
    topology
        .handle_topic(&"t".into(), &answer(1, &[(0, 1, 5, 0)]))
        .unwrap();
    assert_eq!(topology.leader("t", P0).unwrap().broker, BrokerId(2));
}

/// Changes by the responses, in short.
fn events_after(answers: &[TopicLeaders]) -> Vec<String> {
    let mut topology = Topology::default();
    for answer in answers {
        let _ = topology.handle_topic(&"t".into(), answer);
    }
    let events = topology.take_events();
    assert!(topology.take_events().is_empty(), "told once");
    let show = |event: &TopicEvent| match event {
        TopicEvent::Recreated { before, now, .. } => format!("{}->{}", before.0[0], now.0[0]),
        TopicEvent::PartitionCount { before, now, .. } => format!("{before} to {now}"),
        TopicEvent::OtherCluster { before, now } => format!("cluster {before}, now {now}"),
        TopicEvent::Missed(count) => format!("missed {count}"),
    };
    events.iter().map(show).collect()
}

#[test]
fn growth_and_another_id_are_events_and_nothing_else_is() {
    let (one, two) = ([(0, 1, 0, 0)], [(0, 1, 0, 0), (1, 1, 0, 0)]);
    assert!(
        events_after(&[answer(1, &one)]).is_empty(),
        "the first look"
    );
    assert!(events_after(&[answer(1, &one), answer(1, &[(0, 2, 1, 0)])]).is_empty());
    assert!(
        events_after(&[answer(1, &two), answer(1, &one)]).is_empty(),
        "a hole"
    );
    assert_eq!(
        events_after(&[answer(1, &one), answer(1, &two)]),
        ["1 to 2"]
    );
    assert_eq!(events_after(&[answer(1, &two), answer(2, &two)]), ["1->2"]);
    assert_eq!(
        events_after(&[answer(1, &two), answer(2, &one)]),
        ["1->2", "2 to 1"]
    );
    // Without ids it takes three who say the same.
    let (before, after) = (answer(0, &two), answer(0, &one));
    let old = |count| [vec![before.clone()], vec![after.clone(); count]].concat();
    assert!(events_after(&old(2)).is_empty());
    assert_eq!(events_after(&old(3)), ["0->0", "2 to 1"]);
}

#[test]
fn another_cluster_at_the_old_address_is_an_event() {
    let mut topology = Topology::default();
    let of_cluster = |id: Option<&'static str>| LeadersResponse {
        cluster_id: id.map(Str::from_static),
        ..brokers(&[(1, "a", 1)])
    };
    for id in [Some("one"), Some("one"), None, Some("one")] {
        topology.handle_brokers(&of_cluster(id));
        assert!(topology.take_events().is_empty(), "{id:?}");
    }
    topology.forget_brokers();
    topology.handle_brokers(&of_cluster(Some("two")));
    let (before, now) = ("one".into(), "two".into());
    assert_eq!(
        topology.take_events(),
        [TopicEvent::OtherCluster { before, now }]
    );
}
