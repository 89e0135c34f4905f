//! One question for metadata, put to as many brokers as it takes.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use wolff_codec::messages::{MetadataRequest, MetadataRequestTopic};
use wolff_codec::{ErrorCode, Str};

use super::super::hosts::HostState;
use super::{Questions, now};
use crate::endpoint::Address;
use crate::error::{ConnectStage, HostError, HostReason, MetadataError, RequestCause};
use crate::leaders_response::{LeadersRequest, LeadersResponse};
use crate::topology::Topology;
use crate::transport::{Growth, race_staggered};

/// Hosts that are asked in one go, before the question counts as failed.
const ATTEMPTS: u32 = 3;

/// Time that one broker may be alone in having a request, before another one is asked beside it.
const STAGGER: Duration = Duration::from_millis(1_500);

impl Questions {
    /// Asks about `topics`, or about all with `None`, and takes the brokers from the answer.
    pub(in crate::manager) async fn fetch(
        &self,
        topics: Option<&[Str]>,
    ) -> Result<LeadersResponse, MetadataError> {
        let request = LeadersRequest(MetadataRequest {
            topics: topics.map(|names| names.iter().map(named).collect()),
            // To list topics must not create any.
            allow_auto_topic_creation: self.allow_auto_topic_creation && topics.is_some(),
            ..MetadataRequest::default()
        });
        timeout(self.timeout, self.fetch_somewhere(&request))
            .await
            .unwrap_or_else(|_elapsed| Err(self.late()))
    }

    /// The time for metadata is over: says which hosts were tried, where none could be reached.
    fn late(&self) -> MetadataError {
        let after = self.timeout;
        let tried = |state: HostState| {
            let reason = match (state.last_failure, state.trying_for) {
                (_, Some(after)) => HostReason::StillTrying { after },
                (Some(reason), None) if state.failed_ago.is_some_and(|ago| ago <= after) => reason,
                _ => return None,
            };
            let host = state.address;
            Some(HostError { host, reason })
        };
        let states = self.connections.host_states();
        let mut hosts: Vec<_> = states.into_iter().filter_map(tried).collect();
        if let Some((host, after)) = self.connections.silent_metadata() {
            let reason = HostReason::StillTrying { after };
            hosts.push(HostError { host, reason });
        }
        match hosts.is_empty() {
            true => MetadataError::TimedOut(after),
            false => MetadataError::Unanswered { after, hosts },
        }
    }

    /// A connection that has been idle may be gone without having noticed, a broker may be stuck,
    /// or not up to it: nothing of that is a reason to fail while another broker can be asked.
    async fn fetch_somewhere(
        &self,
        request: &LeadersRequest,
    ) -> Result<LeadersResponse, MetadataError> {
        let asked = Mutex::new(Vec::new());
        let attempts = (0..ATTEMPTS).map(|_| self.fetch_beside(request, &asked));
        race_staggered(attempts, STAGGER, Growth::Steady)
            .await
            .unwrap_or_else(|failures| {
                // What a broker said counts for more than that one was silent.
                let mut failures = failures.into_iter().rev().flatten();
                Err(failures.next().unwrap_or_else(|| self.late()))
            })
            .map_err(|error| match error {
                MetadataError::TimedOut(_) => self.late(),
                error => error,
            })
    }

    /// Asks a broker that is not among those in `asked`, as far as there is one. Errors are those
    /// after which another one is worth a try; `None` stands for silence.
    async fn fetch_beside(
        &self,
        request: &LeadersRequest,
        asked: &Mutex<Vec<Address>>,
    ) -> Result<Result<LeadersResponse, MetadataError>, Option<MetadataError>> {
        let avoided = asked.lock().clone();
        if !avoided.is_empty() {
            let known = self.read(Topology::addresses);
            self.connections.leave_metadata_of(&known, &avoided);
        }
        let connection = loop {
            match self.connection_to_others(&avoided).await {
                // There is no other one, and this one has the request.
                Ok(silent) if avoided.contains(silent.address()) && silent.is_silent() => {
                    silent.closed().await;
                }
                Ok(connection) => break connection,
                Err(error) => return Ok(Err(error)),
            }
        };
        asked.lock().push(connection.address().clone());
        let patience = self.timeout / (ATTEMPTS - 1);
        let since = now();
        match timeout(patience, connection.request(request)).await {
            Ok(Ok(answer)) if answer.error_code == ErrorCode::REBOOTSTRAP_REQUIRED => {
                // KIP-1102: what this broker knows is of no use any more.
                connection.close();
                self.change(Topology::forget_brokers);
                Err(Some(MetadataError::Refused(answer.error_code)))
            }
            Ok(Ok(answer)) if answer.error_code.is_ok() => match self.other_cluster(&answer) {
                None => {
                    self.change(|topology| topology.handle_brokers(&answer));
                    Ok(Ok(answer))
                }
                Some(error) => {
                    connection.close();
                    Err(Some(error))
                }
            },
            Ok(Ok(answer)) => {
                // Kept, this connection would be asked for ever.
                connection.close();
                Err(Some(MetadataError::Refused(answer.error_code)))
            }
            Ok(Err(error)) if error.is_connection_lost() => {
                // A broker is not to blame for a connection that was idle for too long.
                asked.lock().retain(|host| host != connection.address());
                Err(Some(MetadataError::Request(error)))
            }
            Ok(Err(error)) if matches!(error.cause(), RequestCause::Unsupported(_)) => {
                // It has no such API, or a bit of its answer was turned.
                connection.close();
                Err(Some(MetadataError::Request(error)))
            }
            Ok(Err(error)) => Ok(Err(MetadataError::Request(error))),
            Err(_elapsed) => {
                connection.close();
                let reason = HostReason::TimedOut {
                    stage: ConnectStage::FirstQuestion,
                    after: patience,
                };
                self.connections
                    .handle_useless(since, connection.address(), &reason);
                Err(None)
            }
        }
    }

    /// The error of a response of another cluster than is configured.
    fn other_cluster(&self, answer: &LeadersResponse) -> Option<MetadataError> {
        let expected = self.cluster_id.as_deref()?;
        let got = answer.cluster_id.as_deref().unwrap_or_default();
        (got != expected).then(|| MetadataError::OtherCluster {
            expected: expected.to_owned(),
            got: Str::from(got),
        })
    }
}

fn named(name: &Str) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: Some(name.clone()),
        ..MetadataRequestTopic::default()
    }
}
