//! Requests about partitions: grouped by leader, sent to all leaders at once, repeated where the
//! leader has moved.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;
use wolff_codec::{BrokerId, ErrorCode, Message, PartitionId, Request, TopicId};

use super::concurrent::all_of;
use super::handle::Client;
use crate::error::{AdminError, ConnectError};

/// Attempts for a partition: once, and again after new metadata.
const ATTEMPTS: u32 = 4;

/// The pause before another attempt, growing with each.
const PAUSE: Duration = Duration::from_millis(100);

/// Partitions, each with the outcome of its request.
pub(super) type Outcomes<T> = Vec<(PartitionId, Result<T, AdminError>)>;

/// The outcomes by partition, or the error of the whole response.
pub(super) type Answered<T> = Result<Vec<(PartitionId, Result<T, ErrorCode>)>, ErrorCode>;

/// A request about some partitions of a topic, and how its response is read.
pub(super) trait PartitionRequest: Sync {
    /// Work for one partition.
    type Item: Clone + Send + Sync;

    /// The request for the partitions of one leader, each at most once.
    type Request: Request<Response = Self::Response> + Send + Sync;

    /// Its response.
    type Response: Message + Send + 'static;

    /// The outcome for one partition.
    type Outcome: Send;

    fn request(
        &self,
        topic: &str,
        topic_id: TopicId,
        items: &[(PartitionId, Self::Item)],
    ) -> Self::Request;

    fn outcomes(&self, response: Self::Response) -> Answered<Self::Outcome>;
}

/// Positions in the list of the caller, by leader, with the id of the topic.
///
/// A partition that is listed twice is in two groups: brokers refuse it twice in one request. Those
/// of which no leader is known have an error instead, and groups of their own.
struct Group {
    target: Result<(BrokerId, TopicId), ConnectError>,
    indexes: Vec<usize>,
}

/// Positions in the list of the caller, each with the outcome.
type Indexed<T> = Vec<(usize, Result<T, AdminError>)>;

impl Client {
    /// Sends a request to the leaders of partitions. The outcomes are in the order of `items`.
    pub(super) async fn send_to_leaders<P: PartitionRequest>(
        &self,
        topic: &str,
        what: &P,
        items: &[(PartitionId, P::Item)],
    ) -> Outcomes<P::Outcome> {
        let all = (0..items.len()).collect();
        let mut outcomes = self.send_from(0, topic, what, items, all).await;
        outcomes.sort_by_key(|(index, _)| *index);
        let partitions = items.iter().map(|(partition, _)| *partition);
        partitions
            .zip(outcomes)
            .map(|(partition, (_, outcome))| (partition, outcome))
            .collect()
    }

    /// Sends the request for the items at these positions to all leaders at the same time. What may
    /// pass is tried again for each leader by itself: none waits for another one that is silent.
    fn send_from<'a, P: PartitionRequest>(
        &'a self,
        attempt: u32,
        topic: &'a str,
        what: &'a P,
        items: &'a [(PartitionId, P::Item)],
        open: Vec<usize>,
    ) -> Pin<Box<dyn Future<Output = Indexed<P::Outcome>> + Send + 'a>> {
        Box::pin(async move {
            if attempt > 0 {
                self.mark_stale(topic);
                sleep(PAUSE.saturating_mul(attempt)).await;
            }
            let groups = self.group_by_leader(topic, items, &open).await;
            let works = groups.into_iter().map(|group| async move {
                let outcomes = self.send_to_group(topic, what, items, group).await;
                if attempt + 1 == ATTEMPTS {
                    return outcomes;
                }
                let (again, mut ended): (Vec<_>, Vec<_>) = outcomes
                    .into_iter()
                    .partition(|(_, outcome)| outcome.as_ref().is_err_and(may_pass));
                if !again.is_empty() {
                    let again = again.into_iter().map(|(index, _)| index).collect();
                    ended.extend(self.send_from(attempt + 1, topic, what, items, again).await);
                }
                ended
            });
            all_of(works).await.into_iter().flatten().collect()
        })
    }

    /// One attempt for the items of a group.
    async fn send_to_group<P: PartitionRequest>(
        &self,
        topic: &str,
        what: &P,
        items: &[(PartitionId, P::Item)],
        group: Group,
    ) -> Indexed<P::Outcome> {
        let Group { target, indexes } = group;
        let (broker, topic_id) = match target {
            Ok(target) => target,
            Err(error) => return for_all(&indexes, &AdminError::Connect(error)),
        };
        let request = {
            let partitions = indexes
                .iter()
                .filter_map(|&index| items.get(index).cloned());
            what.request(topic, topic_id, &partitions.collect::<Vec<_>>())
        };
        let connection = match self.broker_connection(broker).await {
            Ok(connection) => connection,
            Err(error) => return for_all(&indexes, &AdminError::Connect(error)),
        };
        let submitted = connection.submitted::<P::Request>();
        let response = match connection.request(&request).await {
            Ok(response) => response,
            Err(error) => return for_all(&indexes, &AdminError::Request(error)),
        };
        let context = submitted.context();
        let refused = |code| AdminError::Refused {
            code,
            message: None,
            context: Box::new(context.clone()),
        };
        let mut answered: BTreeMap<PartitionId, _> = match what.outcomes(response) {
            Ok(answered) => answered.into_iter().collect(),
            Err(code) => return for_all(&indexes, &refused(code)),
        };
        let outcome = |index: usize| {
            let answer = items.get(index);
            let answer = answer.and_then(|(partition, _)| answered.remove(partition));
            let left_out = || AdminError::LeftOut {
                context: Box::new(context.clone()),
            };
            let outcome = answer.ok_or_else(left_out);
            (index, outcome.and_then(|outcome| outcome.map_err(refused)))
        };
        indexes.into_iter().map(outcome).collect()
    }

    async fn group_by_leader<T>(
        &self,
        topic: &str,
        items: &[(PartitionId, T)],
        open: &[usize],
    ) -> Vec<Group> {
        let partitions: Vec<_> = open
            .iter()
            .filter_map(|&index| Some((index, items.get(index)?.0)))
            .collect();
        let wanted: Vec<_> = partitions.iter().map(|(_, partition)| *partition).collect();
        let leaders = match self.leaders_of(topic, &wanted).await {
            Ok(leaders) => leaders,
            Err(error) => {
                return vec![Group {
                    target: Err(error),
                    indexes: open.to_vec(),
                }];
            }
        };
        let mut groups: BTreeMap<(BrokerId, usize), (TopicId, Vec<usize>)> = BTreeMap::new();
        let mut leaderless = Vec::new();
        let mut seen: BTreeMap<PartitionId, usize> = BTreeMap::new();
        for ((index, partition), leader) in partitions.into_iter().zip(leaders) {
            match leader {
                Ok((broker, topic_id)) => {
                    let times = seen.entry(partition).or_default();
                    let group = groups.entry((broker, *times));
                    group.or_insert((topic_id, Vec::new())).1.push(index);
                    *times += 1;
                }
                Err(error) => leaderless.push(Group {
                    target: Err(error),
                    indexes: vec![index],
                }),
            }
        }
        let led = groups
            .into_iter()
            .map(|((broker, _), (topic_id, indexes))| Group {
                target: Ok((broker, topic_id)),
                indexes,
            });
        led.chain(leaderless).collect()
    }
}

fn for_all<T>(indexes: &[usize], error: &AdminError) -> Indexed<T> {
    let outcome = |&index: &usize| (index, Err(error.clone()));
    indexes.iter().map(outcome).collect()
}

/// True if another attempt may succeed. The requests here can be repeated: they change nothing, or
/// the same a second time.
fn may_pass(error: &AdminError) -> bool {
    match error {
        AdminError::Refused { code, .. } => code.is_retriable(),
        AdminError::Request(error) => error.is_connection_lost(),
        AdminError::Connect(ConnectError::Host(_) | ConnectError::NoLeader { .. }) => true,
        _ => false,
    }
}
