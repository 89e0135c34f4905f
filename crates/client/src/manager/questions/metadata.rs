//! One question for metadata, put to as many brokers as it takes.

use std::pin::Pin;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use wolff_codec::messages::{MetadataRequest, MetadataRequestTopic};
use wolff_codec::{ApiKey, ErrorCode, Str};

use super::super::hosts::HostState;
use super::Questions;
use crate::connection::{Connection, Submitted};
use crate::endpoint::Address;
use crate::error::{
    ConnectStage, ConnectionFailure, HostError, HostReason, MetadataError, RequestCause,
    RequestContext, RequestError,
};
use crate::leaders_response::{LeadersRequest, LeadersResponse};
use crate::topology::Topology;
use crate::transport::{Growth, race_staggered};

/// Refusals, or attempts at the first broker, before the question counts as failed.
const ATTEMPTS: u32 = 3;

/// Time that a broker which has been connected for a while may be alone in having a request, before
/// others are asked beside it.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The same where nothing is known of the broker, and the time between the attempts at others; more
/// of them each time.
const STAGGER: Duration = Duration::from_millis(250);

/// A response, and the request and the broker that it comes from.
pub(in crate::manager) type Fetched = (LeadersResponse, RequestContext);

/// The end of an attempt at a broker: what ends the question, or an error after which another one
/// is worth a try; `None` stands for silence.
type Attempted = Result<Result<Fetched, MetadataError>, Option<MetadataError>>;

/// The end of several of them.
type AllAttempted = Result<Result<Fetched, MetadataError>, Vec<Option<MetadataError>>>;

/// The attempts of one question so far.
#[derive(Default)]
struct Tried {
    hosts: Vec<Address>,
    refusals: u32,
}

impl Questions {
    /// Asks about `topics`, or about all with `None`, and takes the brokers from the answer.
    pub(in crate::manager) async fn fetch(
        &self,
        topics: Option<&[Str]>,
    ) -> Result<Fetched, MetadataError> {
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
            let is_of_now = |ago: Option<Duration>| ago.is_some_and(|ago| ago <= after);
            let reason = match (state.last_failure, state.last_request_failure) {
                _ if let Some(after) = state.trying_for => HostReason::StillTrying { after },
                (Some(reason), _) if is_of_now(state.failed_ago) => reason,
                (_, Some(error)) if is_of_now(state.request_failed_ago) => {
                    reason_without_response(&error)
                }
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
    async fn fetch_somewhere(&self, request: &LeadersRequest) -> Result<Fetched, MetadataError> {
        let is_used = self.connections.has_metadata();
        let first = self.connection().await?;
        let tried = Mutex::new(Tried {
            hosts: vec![first.address().clone()],
            refusals: 0,
        });
        let candidates = self.candidates(&[first.address().clone()]);
        let first: Pin<Box<dyn Future<Output = AllAttempted> + Send + '_>> = Box::pin(async {
            let outcome = self.ask_first(first, request, &tried).await;
            outcome.map_err(|error| vec![error])
        });
        let others = Box::pin(async {
            let others = candidates
                .iter()
                .map(|host| self.ask_other(host, request, &tried));
            race_staggered(others, STAGGER, Growth::Doubling).await
        });
        let patience = if is_used { PATIENCE } else { STAGGER };
        race_staggered([first, others], patience, Growth::Steady)
            .await
            .unwrap_or_else(|failures| {
                // What a broker said counts for more than that others were silent or away.
                let failures = failures.into_iter().flatten().flatten();
                let mut said =
                    failures.filter(|error| !matches!(error, MetadataError::Unreachable(_)));
                Err(said.next_back().unwrap_or_else(|| self.late()))
            })
            .map_err(|error| match error {
                MetadataError::TimedOut(_) => self.late(),
                error => error,
            })
    }

    /// Hosts to ask beside those in `avoided`, in the order in which they are tried.
    fn candidates(&self, avoided: &[Address]) -> Vec<Address> {
        let (known, doubted) = {
            let state = self.state.lock();
            (state.topology.addresses(), state.doubted.clone())
        };
        let doubted: Vec<_> = doubted.into_iter().collect();
        let mut hosts = self.connections.metadata_hosts(known, &doubted);
        hosts.retain(|host| !avoided.contains(host));
        hosts
    }

    /// Asks the broker that is connected already, and on another connection where that is lost.
    async fn ask_first(
        &self,
        mut connection: Connection,
        request: &LeadersRequest,
        tried: &Mutex<Tried>,
    ) -> Attempted {
        for _ in 1..ATTEMPTS {
            let error = match self.ask_on(&connection, request, tried).await {
                // A broker is not to blame for a connection that was idle for too long, and where
                // it was silent there may be nobody else to ask.
                Err(None) => None,
                Err(Some(error)) if is_worth_another_connection(&error) => Some(error),
                outcome => return outcome,
            };
            connection = match self.connection().await {
                Ok(connection) => connection,
                Err(MetadataError::ClientClosed) => return Ok(Err(MetadataError::ClientClosed)),
                Err(_) if error.is_some() => return Err(error),
                Err(error) => return Err(Some(error)),
            };
            tried.lock().hosts.push(connection.address().clone());
        }
        self.ask_on(&connection, request, tried).await
    }

    /// Connects to a host that nobody has tried for this question, and asks it.
    async fn ask_other(
        &self,
        host: &Address,
        request: &LeadersRequest,
        tried: &Mutex<Tried>,
    ) -> Attempted {
        {
            let mut tried = tried.lock();
            if tried.hosts.contains(host) {
                return Err(None);
            }
            tried.hosts.push(host.clone());
        }
        let connection = self.connections.dial_metadata(host).await;
        let connection =
            connection.map_err(|error| Some(MetadataError::Unreachable(vec![error])))?;
        let outcome = self.ask_on(&connection, request, tried).await;
        if let Ok(Ok(_)) = outcome {
            self.connections.use_for_metadata(connection);
        }
        outcome
    }

    async fn ask_on(
        &self,
        connection: &Connection,
        request: &LeadersRequest,
        tried: &Mutex<Tried>,
    ) -> Attempted {
        let patience = self.timeout / (ATTEMPTS - 1);
        let submitted = connection.submitted::<LeadersRequest>();
        let refused = |code| MetadataError::Refused {
            code,
            context: Box::new(submitted.context()),
        };
        match timeout(patience, connection.request(request)).await {
            Ok(Ok(answer)) if answer.error_code == ErrorCode::REBOOTSTRAP_REQUIRED => {
                // KIP-1102: what this broker knows is of no use any more.
                connection.close();
                self.change(Topology::forget_brokers);
                Err(Some(refused(answer.error_code)))
            }
            Ok(Ok(answer)) if answer.error_code.is_ok() => {
                match self.other_cluster(&answer, &submitted) {
                    None => {
                        self.change(|topology| topology.handle_brokers(&answer));
                        Ok(Ok((answer, submitted.context())))
                    }
                    Some(error) => {
                        connection.close();
                        Err(Some(error))
                    }
                }
            }
            Ok(Ok(answer)) => {
                // Kept, this connection would be asked for ever.
                connection.close();
                let error = refused(answer.error_code);
                let mut tried = tried.lock();
                tried.refusals += 1;
                match tried.refusals < ATTEMPTS {
                    true => Err(Some(error)),
                    // So many brokers say what others would say as well.
                    false => Ok(Err(error)),
                }
            }
            Ok(Err(error)) if error.is_connection_lost() => {
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
                let failure = ConnectionFailure::TimedOut {
                    api: ApiKey::METADATA,
                    after: patience,
                };
                let error = submitted.in_doubt(RequestCause::Connection(failure));
                self.connections.handle_useless(&error);
                Err(None)
            }
        }
    }

    /// The error of a response of another cluster than is configured.
    fn other_cluster(
        &self,
        answer: &LeadersResponse,
        submitted: &Submitted,
    ) -> Option<MetadataError> {
        let expected = self.cluster_id.as_deref()?;
        let got = answer.cluster_id.as_deref().unwrap_or_default();
        (got != expected).then(|| MetadataError::OtherCluster {
            expected: expected.to_owned(),
            got: Str::from(got),
            context: Box::new(submitted.context()),
        })
    }
}

/// The reason why a host that was connected to is of no use, after a request without a response.
fn reason_without_response(error: &RequestError) -> HostReason {
    match error.cause() {
        RequestCause::Connection(ConnectionFailure::TimedOut { after, .. }) => {
            HostReason::TimedOut {
                stage: ConnectStage::FirstQuestion,
                after: *after,
            }
        }
        RequestCause::Connection(ConnectionFailure::Io(failure)) => HostReason::Io(failure.clone()),
        RequestCause::Connection(ConnectionFailure::Protocol(violation)) => {
            HostReason::Protocol(violation.clone())
        }
        cause => HostReason::Unusable(cause.to_string()),
    }
}

/// True if a new connection, to whichever broker, is the remedy.
fn is_worth_another_connection(error: &MetadataError) -> bool {
    match error {
        MetadataError::Request(error) => {
            // That it has no such API may be a bit that was turned.
            let is_unsupported = matches!(error.cause(), RequestCause::Unsupported(_));
            error.is_connection_lost() || is_unsupported
        }
        MetadataError::Refused { code, .. } => *code == ErrorCode::REBOOTSTRAP_REQUIRED,
        _ => false,
    }
}

fn named(name: &Str) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: Some(name.clone()),
        ..MetadataRequestTopic::default()
    }
}
