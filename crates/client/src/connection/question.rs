//! A request and its answer, from a typed message to a frame and back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wolff_codec::{Request, decode_response, encode_request};

use super::shared::{Effect, Lane, Outcome, Shared, Waiter};
use super::throttle::throttle_time;
use crate::error::{ConnectionFailure, ProtocolViolation, RequestCause, RequestError};

/// The answer to a request, some time from now. Dropping it is safe.
#[derive(Debug)]
#[must_use = "the answer comes to whoever polls this"]
pub struct Pending<T> {
    receiver: oneshot::Receiver<Result<T, RequestError>>,
}

impl<T> Future for Pending<T> {
    type Output = Result<T, RequestError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|outcome| {
            // Nobody forgets a waiter, unless the process comes apart around it.
            let gone = || RequestCause::Connection(ConnectionFailure::RuntimeEnded);
            outcome.unwrap_or_else(|_| Err(RequestError::InDoubt(gone())))
        })
    }
}

impl Shared {
    /// Queues a request that is answered; `check` says whether the answer belongs to it.
    pub(super) fn ask<R>(
        &self,
        lane: Lane,
        request: &R,
        version: i16,
        check: impl FnOnce(&R::Response) -> Result<(), String> + Send + 'static,
    ) -> Result<Pending<R::Response>, RequestError>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        let (teller, receiver) = oneshot::channel();
        let waiter = move |outcome| {
            let (result, effect) = match outcome {
                Outcome::Answered(frame) => answered::<R>(&frame, version, check),
                Outcome::Failed(error) => (Err(error), Effect::NONE),
                Outcome::Sent => return Effect::NONE,
            };
            // Whoever asked may have gone.
            let _ = teller.send(result);
            effect
        };
        self.submit_message(lane, request, version, true, Box::new(waiter))?;
        Ok(Pending { receiver })
    }

    /// Queues a request that nobody answers.
    pub(super) fn tell<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<Pending<()>, RequestError> {
        let (teller, receiver) = oneshot::channel();
        let waiter = move |outcome| {
            let result = match outcome {
                Outcome::Sent | Outcome::Answered(_) => Ok(()),
                Outcome::Failed(error) => Err(error),
            };
            let _ = teller.send(result);
            Effect::NONE
        };
        self.submit_message(Lane::Ordinary, request, version, false, Box::new(waiter))?;
        Ok(Pending { receiver })
    }

    fn submit_message<R: Request>(
        &self,
        lane: Lane,
        request: &R,
        version: i16,
        is_answered: bool,
        waiter: Waiter,
    ) -> Result<(), RequestError> {
        let correlation_id = self.next_correlation_id();
        let frame = encode_request(request, version, correlation_id, self.client_id.as_deref())
            .map_err(|error| RequestError::NotSent(RequestCause::Encode(error)))?;
        self.submit(lane, correlation_id, R::API_KEY, frame, is_answered, waiter)
    }
}

fn answered<R: Request>(
    frame: &bytes::Bytes,
    version: i16,
    check: impl FnOnce(&R::Response) -> Result<(), String>,
) -> (Result<R::Response, RequestError>, Effect)
where
    R::Response: 'static,
{
    match decode::<R>(frame, version, check) {
        Ok(response) => {
            let throttle = throttle_time(&response, version);
            let effect = Effect {
                throttle,
                ..Effect::NONE
            };
            (Ok(response), effect)
        }
        Err(violation) => {
            let failure = ConnectionFailure::Protocol(violation.clone());
            let error = RequestError::InDoubt(RequestCause::Connection(failure));
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
) -> Result<R::Response, ProtocolViolation> {
    let api = R::API_KEY;
    let (_, response) = decode_response::<R::Response>(frame, version)
        .map_err(|source| ProtocolViolation::Malformed { api, source })?;
    check(&response).map_err(|what| ProtocolViolation::Mismatch { api, what })?;
    Ok(response)
}
