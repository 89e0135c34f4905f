//! Requests about partitions: grouped by leader, in flight to all leaders at once, repeated where
//! the leader has moved. Connections that are missing are opened one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;
use wolff_codec::{BrokerId, ErrorCode, Message, PartitionId, Request, TopicId};

use super::handle::Client;
use crate::connection::{Connection, Pending};
use crate::error::{AdminError, ConnectError, RequestCause, RequestError};

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
    type Item: Clone + Sync;

    /// The request for the partitions of one leader, each at most once.
    type Request: Request<Response = Self::Response> + Sync;

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

/// Positions in the list of the caller, by leader. A partition that is listed twice is in two
/// groups: brokers refuse it twice in one request.
type Groups = BTreeMap<(BrokerId, usize), (TopicId, Vec<usize>)>;

impl Client {
    /// Sends a request to the leaders of partitions. The outcomes are in the order of `items`.
    pub(super) async fn send_to_leaders<P: PartitionRequest>(
        &self,
        topic: &str,
        what: &P,
        items: &[(PartitionId, P::Item)],
    ) -> Outcomes<P::Outcome> {
        let mut outcomes: Vec<Option<Result<P::Outcome, AdminError>>> = Vec::new();
        outcomes.resize_with(items.len(), || None);
        let mut open: Vec<usize> = (0..items.len()).collect();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.mark_stale(topic);
                sleep(PAUSE.saturating_mul(attempt)).await;
            }
            for (index, outcome) in self.send_to_leaders_once(topic, what, items, &open).await {
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = Some(outcome);
                }
            }
            open.retain(|&index| {
                let outcome = outcomes.get(index).and_then(Option::as_ref);
                outcome.is_some_and(|outcome| outcome.as_ref().is_err_and(may_pass))
            });
            if open.is_empty() {
                break;
            }
        }
        let outcomes = outcomes.into_iter().zip(items);
        outcomes
            .map(|(outcome, (partition, _))| {
                (*partition, outcome.unwrap_or(Err(AdminError::LeftOut)))
            })
            .collect()
    }

    /// One attempt for the items at these positions.
    async fn send_to_leaders_once<P: PartitionRequest>(
        &self,
        topic: &str,
        what: &P,
        items: &[(PartitionId, P::Item)],
        open: &[usize],
    ) -> Vec<(usize, Result<P::Outcome, AdminError>)> {
        let mut outcomes = Vec::with_capacity(open.len());
        let groups = self
            .group_by_leader(topic, items, open, &mut outcomes)
            .await;
        let mut started = Vec::with_capacity(groups.len());
        for ((broker, _), (topic_id, indexes)) in groups {
            let partitions: Vec<_> = indexes
                .iter()
                .filter_map(|&index| items.get(index).cloned())
                .collect();
            let request = what.request(topic, topic_id, &partitions);
            match self.start_at(broker, &request).await {
                Ok(pending) => started.push((indexes, pending)),
                Err(error) => outcomes.extend(for_all(&indexes, &error)),
            }
        }
        for (indexes, pending) in started {
            let response = match pending.await {
                Ok(response) => what.outcomes(response),
                Err(error) => {
                    outcomes.extend(for_all(&indexes, &AdminError::Request(error)));
                    continue;
                }
            };
            match response {
                Ok(answered) => {
                    let mut answered: BTreeMap<PartitionId, _> = answered.into_iter().collect();
                    for index in indexes {
                        let answer = items
                            .get(index)
                            .and_then(|(partition, _)| answered.remove(partition));
                        let outcome = match answer {
                            Some(Ok(outcome)) => Ok(outcome),
                            Some(Err(code)) => Err(refused(code)),
                            None => Err(AdminError::LeftOut),
                        };
                        outcomes.push((index, outcome));
                    }
                }
                Err(code) => outcomes.extend(for_all(&indexes, &refused(code))),
            }
        }
        outcomes
    }

    async fn group_by_leader<T, O>(
        &self,
        topic: &str,
        items: &[(PartitionId, T)],
        open: &[usize],
        outcomes: &mut Vec<(usize, Result<O, AdminError>)>,
    ) -> Groups {
        let mut groups = Groups::new();
        let mut seen: BTreeMap<PartitionId, usize> = BTreeMap::new();
        for &index in open {
            let Some((partition, _)) = items.get(index) else {
                continue;
            };
            match self.leader_of(topic, *partition).await {
                Ok((broker, topic_id)) => {
                    let times = seen.entry(*partition).or_default();
                    let group = groups.entry((broker, *times));
                    group.or_insert((topic_id, Vec::new())).1.push(index);
                    *times += 1;
                }
                Err(error) => outcomes.push((index, Err(AdminError::Connect(error)))),
            }
        }
        groups
    }

    async fn start_at<R: Request>(
        &self,
        broker: BrokerId,
        request: &R,
    ) -> Result<Pending<R::Response>, AdminError>
    where
        R::Response: Send + 'static,
    {
        let connection = self.broker_connection(broker).await;
        let connection = connection.map_err(AdminError::Connect)?;
        start(&connection, request)
            .await
            .map_err(AdminError::Request)
    }
}

/// Starts a request, after room in the queue of the connection where necessary.
async fn start<R: Request>(
    connection: &Connection,
    request: &R,
) -> Result<Pending<R::Response>, RequestError>
where
    R::Response: Send + 'static,
{
    loop {
        match connection.start(request) {
            Err(RequestError::NotSent(RequestCause::QueueFull)) => connection.ready().await,
            started => return started,
        }
    }
}

fn refused(code: ErrorCode) -> AdminError {
    AdminError::Refused {
        code,
        message: None,
    }
}

fn for_all<T>(
    indexes: &[usize],
    error: &AdminError,
) -> impl Iterator<Item = (usize, Result<T, AdminError>)> {
    indexes.iter().map(|&index| (index, Err(error.clone())))
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
