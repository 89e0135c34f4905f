//! Batches of several partitions in one Produce request, and each partition's part of the answer.

use std::collections::HashMap;

use wolff_codec::messages::{
    NodeEndpoint, PartitionProduceResponse, ProduceRequest, ProduceResponse,
};
use wolff_codec::wire::Chunks;
use wolff_codec::{
    ApiKey, CorrelationId, PartitionId, RequestHeader, Str, TopicId, VersionRanges, encode_request,
};

use super::answer::{Teller, answered};
use super::gather::Asked;
use super::outcome::{Effect, Outcome, Unanswered, Waiter};
use crate::error::{ConnectionFailure, ProtocolViolation, RequestCause};

/// Response of the broker for one batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProduceAnswer {
    /// The outcome for the partition.
    pub partition: PartitionProduceResponse,
    /// Address of the leader that the outcome hints at (KIP-951), if the broker tells.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// Tells the outcome of a batch.
pub(super) type BatchSender = Teller<ProduceAnswer>;

/// The frame of a request, in the newest version that can carry it.
pub(super) fn encode(
    request: &ProduceRequest,
    versions: &VersionRanges,
    correlation_id: CorrelationId,
    client_id: Option<&str>,
) -> Result<(i16, Chunks), RequestCause> {
    let version = versions
        .pick_for(request)
        .map_err(RequestCause::Unsupported)?;
    let frame = encode_request(request, version, correlation_id, client_id);
    Ok((version, frame.map_err(RequestCause::Encode)?))
}

/// True if a frame is a Produce request with acks=0, to which no broker responds.
pub(super) fn is_unacknowledged(frame: &Chunks) -> bool {
    // What comes before the records is in one piece.
    let first = frame.iter().next().filter(|first| first.len() > 4);
    let header = first.map(|first| RequestHeader::decode(&first.slice(4..)));
    let Some(Ok((header, body))) = header else {
        return false;
    };
    // A transactional id, which may be null, precedes acks.
    let id_bytes = match header.api_version {
        // Its length plus one is a varint: with a transaction acks are all, so a long id needs no
        // look.
        9.. => body
            .first()
            .filter(|length| **length < 0x80)
            .map(|length| usize::from(length.saturating_sub(1)) + 1),
        _ => body
            .first_chunk::<2>()
            .map(|length| usize::try_from(i16::from_be_bytes(*length)).unwrap_or(0) + 2),
    };
    id_bytes.and_then(|at| body.get(at..at + 2)) == Some(&[0, 0])
}

/// Gives each their part of the answer.
pub(super) fn waiter(version: i16, asked: Vec<Asked<BatchSender>>) -> Waiter {
    Box::new(move |outcome| match outcome {
        Outcome::Answered(frame) => {
            let (result, mut effect) = answered::<ProduceRequest>(&frame, version, |_| Ok(()));
            let parts = result.and_then(|response| {
                take_apart(response, version, &asked).map_err(|what| {
                    let violation = ProtocolViolation::Mismatch {
                        api: ApiKey::PRODUCE,
                        what,
                    };
                    effect.violation = Some(violation.clone());
                    in_doubt(violation)
                })
            });
            match parts {
                Ok(parts) => {
                    for (asked, part) in asked.into_iter().zip(parts) {
                        let _ = asked.waiter.send(Ok(part));
                    }
                }
                Err(error) => fail_all(asked, &error),
            }
            effect
        }
        Outcome::Failed(error) => {
            fail_all(asked, &error);
            Effect::NONE
        }
        Outcome::Sent => Effect::NONE,
    })
}

fn in_doubt(violation: ProtocolViolation) -> Unanswered {
    let failure = ConnectionFailure::Protocol(violation);
    Unanswered::InDoubt(RequestCause::Connection(failure))
}

/// Tells everybody the same.
pub(super) fn fail_all(asked: Vec<Asked<BatchSender>>, error: &Unanswered) {
    for asked in asked {
        let _ = asked.waiter.send(Err(error.clone()));
    }
}

/// Key of a topic in a response: by its id since version 13, by its name before.
#[derive(Eq, Hash, PartialEq)]
enum TopicKey {
    Name(Str),
    Id(TopicId),
}

/// The parts of an answer in the order of the questions: each asked partition once, and no other.
fn take_apart<W>(
    response: ProduceResponse,
    version: i16,
    asked: &[Asked<W>],
) -> Result<Vec<ProduceAnswer>, String> {
    let key = |name: &Str, id: TopicId| match version {
        13.. => TopicKey::Id(id),
        _ => TopicKey::Name(name.clone()),
    };
    let mut parts: HashMap<(TopicKey, PartitionId), PartitionProduceResponse> = HashMap::new();
    let mut count = 0_usize;
    for topic in response.responses {
        for partition in topic.partition_responses {
            count += 1;
            parts.insert(
                (key(&topic.name, topic.topic_id), partition.index),
                partition,
            );
        }
    }
    if count != asked.len() {
        return Err(format!("{count} answers for {} partitions", asked.len()));
    }
    // Each gets what concerns it: copies of all for everybody would be more than was received.
    let mut endpoints = HashMap::new();
    for endpoint in response.node_endpoints {
        endpoints.entry(endpoint.node_id).or_insert(endpoint);
    }
    let part = |asked: &Asked<W>| {
        let partition = parts
            .remove(&(key(&asked.topic, asked.topic_id), asked.partition))
            .ok_or_else(|| {
                let Asked {
                    topic, partition, ..
                } = asked;
                format!("no answer for topic {topic} partition {partition}")
            })?;
        let endpoint = endpoints.get(&partition.current_leader.leader_id);
        Ok(ProduceAnswer {
            node_endpoints: endpoint.cloned().into_iter().collect(),
            partition,
        })
    };
    asked.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use wolff_codec::messages::{LeaderIdAndEpoch, TopicProduceResponse};
    use wolff_codec::{BrokerId, Message as _};

    use super::*;

    #[test]
    fn a_request_that_no_broker_answers_is_recognised_in_every_version() {
        for version in ProduceRequest::VERSIONS {
            for (acks, id) in [
                (0, None),
                (1, None),
                (-1, None),
                (-1, Some("x")),
                (0, Some("x")),
            ] {
                let request = ProduceRequest {
                    acks,
                    transactional_id: id.map(Str::from_static),
                    ..ProduceRequest::default()
                };
                let frame = encode_request(&request, version, CorrelationId(7), Some("client"));
                assert_eq!(
                    is_unacknowledged(&frame.unwrap()),
                    acks == 0,
                    "version {version}, acks {acks}, {id:?}"
                );
            }
        }
    }

    fn asked(partition: i32) -> Asked<()> {
        Asked {
            topic: "t".into(),
            topic_id: TopicId::default(),
            partition: PartitionId(partition),
            waiter: (),
        }
    }

    /// The answer for these partitions, each of which hints at the broker of its own number.
    fn answer(partitions: &[i32], brokers: i32) -> ProduceResponse {
        let partition_responses = partitions
            .iter()
            .map(|index| PartitionProduceResponse {
                index: PartitionId(*index),
                current_leader: LeaderIdAndEpoch {
                    leader_id: BrokerId(*index),
                    ..Default::default()
                },
                ..Default::default()
            })
            .collect();
        ProduceResponse {
            responses: vec![TopicProduceResponse {
                name: "t".into(),
                partition_responses,
                ..Default::default()
            }],
            node_endpoints: (0..brokers)
                .map(|id| NodeEndpoint {
                    node_id: BrokerId(id),
                    port: 1_000 + id,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn everybody_gets_the_endpoint_that_concerns_it_and_no_other() {
        let asked: Vec<_> = [2, 0, 7].map(asked).into();
        let parts = take_apart(answer(&[0, 2, 7], 5), 12, &asked).unwrap();
        let ports: Vec<Vec<i32>> = parts
            .iter()
            .map(|part| part.node_endpoints.iter().map(|node| node.port).collect())
            .collect();
        assert_eq!(ports, [vec![1_002], vec![1_000], vec![]]);
    }

    #[test]
    fn each_asked_partition_must_be_answered_once_and_no_other() {
        let asked: Vec<_> = [0, 1].map(asked).into();
        assert!(take_apart(answer(&[1, 0], 0), 12, &asked).is_ok());
        for partitions in [&[0, 0][..], &[0], &[0, 2], &[0, 1, 2], &[0, 1, 1], &[]] {
            assert!(
                take_apart(answer(partitions, 0), 12, &asked).is_err(),
                "{partitions:?}"
            );
        }
    }
}
