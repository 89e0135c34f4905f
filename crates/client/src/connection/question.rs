//! A request on its way: from a typed message to a frame.

use wolff_codec::{ApiKey, Request, encode_request};

use super::answer::{Pending, answered};
use super::outcome::{Effect, Outcome, Waiter};
use super::produce::is_unacknowledged;
use super::shared::{Lane, Shared};
use crate::error::{RequestCause, RequestError};
use crate::secret::wiped;

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
        let (teller, pending) = Pending::channel(self.submitted(R::API_KEY));
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
        let submitted = self.submit_message(lane, request, version, true, Box::new(waiter));
        submitted.map_err(|cause| pending.submitted().not_sent(cause))?;
        Ok(pending)
    }

    /// Queues a request that nobody answers.
    pub(super) fn tell<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<Pending<()>, RequestError> {
        let (teller, pending) = Pending::channel(self.submitted(R::API_KEY));
        let waiter = move |outcome| {
            let result = match outcome {
                Outcome::Sent | Outcome::Answered(_) => Ok(()),
                Outcome::Failed(error) => Err(error),
            };
            let _ = teller.send(result);
            Effect::NONE
        };
        let waiter = Box::new(waiter);
        let submitted = self.submit_message(Lane::Ordinary, request, version, false, waiter);
        submitted.map_err(|cause| pending.submitted().not_sent(cause))?;
        Ok(pending)
    }

    fn submit_message<R: Request>(
        &self,
        lane: Lane,
        request: &R,
        version: i16,
        is_answered: bool,
        waiter: Waiter,
    ) -> Result<(), RequestCause> {
        let correlation_id = self.next_correlation_id();
        let frame = encode_request(request, version, correlation_id, self.client_id.as_deref())
            .map_err(RequestCause::Encode)?;
        if is_answered && R::API_KEY == ApiKey::PRODUCE && is_unacknowledged(&frame) {
            return Err(RequestCause::Unacknowledged);
        }
        let frame = match R::API_KEY {
            ApiKey::SASL_AUTHENTICATE => wiped(frame),
            _ => frame,
        };
        self.submit(lane, correlation_id, R::API_KEY, frame, is_answered, waiter)
    }
}
