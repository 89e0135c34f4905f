//! The answer to a request: a future, and what a frame says.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;
use wolff_codec::{ApiKey, BrokerId, DecodeError, Message, Request, ResponseHeader};

use super::outcome::{Effect, Unanswered};
use super::throttle::throttle_time;
use crate::endpoint::Address;
use crate::error::{
    ConnectionFailure, ProtocolViolation, RequestCause, RequestContext, RequestError,
};

/// A request as its errors name it.
#[derive(Clone, Debug)]
pub(crate) struct Submitted {
    address: Address,
    broker: Option<BrokerId>,
    api: ApiKey,
    at: Instant,
}

impl Submitted {
    pub(super) fn new(
        address: Address,
        broker: Option<BrokerId>,
        api: ApiKey,
        at: Instant,
    ) -> Self {
        Self {
            address,
            broker,
            api,
            at,
        }
    }

    /// The request, at its end.
    pub(crate) fn context(&self) -> RequestContext {
        let took = now().saturating_duration_since(self.at);
        RequestContext::new(self.address.clone(), self.broker, self.api, took)
    }

    pub(super) fn not_sent(&self, cause: RequestCause) -> RequestError {
        RequestError::not_sent(self.context(), cause)
    }

    pub(crate) fn in_doubt(&self, cause: RequestCause) -> RequestError {
        RequestError::in_doubt(self.context(), cause)
    }

    fn error(&self, unanswered: Unanswered) -> RequestError {
        match unanswered {
            Unanswered::NotSent(cause) => self.not_sent(cause),
            Unanswered::InDoubt(cause) => self.in_doubt(cause),
        }
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Tells the outcome of a request.
pub(super) type Teller<T> = oneshot::Sender<Result<T, Unanswered>>;

/// The answer to a request, some time from now. Dropping it is safe.
#[derive(Debug)]
#[must_use = "the answer comes to whoever polls this"]
pub struct Pending<T> {
    receiver: oneshot::Receiver<Result<T, Unanswered>>,
    submitted: Submitted,
}

impl<T> Pending<T> {
    /// An answer to come, and who tells it.
    pub(super) fn channel(submitted: Submitted) -> (Teller<T>, Self) {
        let (teller, receiver) = oneshot::channel();
        let pending = Self {
            receiver,
            submitted,
        };
        (teller, pending)
    }

    /// The request, as its errors name it.
    pub(crate) fn submitted(&self) -> &Submitted {
        &self.submitted
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, RequestError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|outcome| {
            // Nobody forgets a waiter, unless the process comes apart around it.
            let gone = || RequestCause::Connection(ConnectionFailure::RuntimeEnded);
            let outcome = outcome.unwrap_or_else(|_| Err(Unanswered::InDoubt(gone())));
            outcome.map_err(|unanswered| self.submitted.error(unanswered))
        })
    }
}

/// Decodes the frame of a response. Returns also what it means for the connection.
pub(super) fn answered<R: Request>(
    frame: &bytes::Bytes,
    version: i16,
    check: impl FnOnce(&R::Response) -> Result<(), String>,
) -> (Result<R::Response, Unanswered>, Effect)
where
    R::Response: 'static,
{
    match decode::<R>(frame, version, check) {
        Ok((response, extra_bytes)) => {
            let throttle = throttle_time(&response, version);
            let effect = Effect {
                throttle,
                extra: (extra_bytes > 0).then_some((R::API_KEY, extra_bytes)),
                ..Effect::NONE
            };
            (Ok(response), effect)
        }
        Err(violation) => {
            let failure = ConnectionFailure::Protocol(violation.clone());
            let error = Unanswered::InDoubt(RequestCause::Connection(failure));
            let effect = Effect {
                violation: Some(violation),
                ..Effect::NONE
            };
            (Err(error), effect)
        }
    }
}

fn decode<R: Request>(
    frame: &bytes::Bytes,
    version: i16,
    check: impl FnOnce(&R::Response) -> Result<(), String>,
) -> Result<(R::Response, usize), ProtocolViolation> {
    let api = R::API_KEY;
    let (response, extra) = decode_front::<R::Response>(frame, version)
        .map_err(|source| ProtocolViolation::Malformed { api, source })?;
    check(&response).map_err(|what| ProtocolViolation::Mismatch { api, what })?;
    Ok((response, extra))
}

/// The response in a frame, and how many bytes follow it: some brokers leave some there.
pub(super) fn decode_front<M: Message>(
    frame: &bytes::Bytes,
    version: i16,
) -> Result<(M, usize), DecodeError> {
    let (_, body) = ResponseHeader::decode(frame, M::API_KEY, version)?;
    M::decode_front(&body, version)
}
