//! The answer to a request: a future, and what a frame says.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wolff_codec::{DecodeError, Message, Request, ResponseHeader};

use super::outcome::Effect;
use super::throttle::throttle_time;
use crate::error::{ConnectionFailure, ProtocolViolation, RequestCause, RequestError};

/// The answer to a request, some time from now. Dropping it is safe.
#[derive(Debug)]
#[must_use = "the answer comes to whoever polls this"]
pub struct Pending<T> {
    receiver: oneshot::Receiver<Result<T, RequestError>>,
}

impl<T> Pending<T> {
    /// An answer to come, and who tells it.
    pub(super) fn channel() -> (oneshot::Sender<Result<T, RequestError>>, Self) {
        let (teller, receiver) = oneshot::channel();
        (teller, Self { receiver })
    }
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

/// Decodes the frame of a response. Returns also what it means for the connection.
pub(super) fn answered<R: Request>(
    frame: &bytes::Bytes,
    version: i16,
    check: impl FnOnce(&R::Response) -> Result<(), String>,
) -> (Result<R::Response, RequestError>, Effect)
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
