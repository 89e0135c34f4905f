//! Handle of a connection: requests go in, responses come back in the same order.
//!
//! A request costs one encoding, one short lock, one vectored write (shared with its neighbours)
//! and one wake of whoever waits. Record data is never copied here.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wolff_codec::{ApiKey, BrokerId, Request, UnsupportedApi};

use super::answer::{Pending, Submitted};
use super::gather::ProduceBatch;
use super::produce::ProduceAnswer;
use super::shared::{FailedRequestReport, Lane, Shared, SilenceReport};
use super::window::LinkStats;
use crate::endpoint::Address;
use crate::error::{ConnectionFailure, RequestCause, RequestError};

/// A connection to a broker, ready for requests. Clones are the same connection.
///
/// It ends when the broker closes it, when it fails, or when the last clone has gone and all
/// answers are there. After that nothing can be sent; [`Connection::closed`] tells why.
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

/// A connection that is not kept open by whoever holds this.
#[derive(Clone)]
pub(crate) struct WeakConnection {
    handle: Weak<Handle>,
    /// Outlives the connection, to tell how it ended.
    shared: Arc<Shared>,
}

/// Counts the users of a connection.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.release();
    }
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            handle: Arc::new(Handle { shared }),
        }
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// The address that was dialled.
    pub fn address(&self) -> &Address {
        &self.shared().address
    }

    /// Id of the broker at the other end; `None` where only its address is known, as of a bootstrap
    /// host.
    pub fn broker(&self) -> Option<BrokerId> {
        self.shared().broker()
    }

    /// Metadata names the broker at this address.
    pub(crate) fn set_broker(&self, id: BrokerId) {
        self.shared().set_broker(id);
    }

    /// The newest version of `R` that both sides speak.
    ///
    /// # Errors
    /// [`UnsupportedApi`] when there is none.
    pub fn version<R: Request>(&self) -> Result<i16, UnsupportedApi> {
        self.shared().versions.pick::<R>()
    }

    /// Encodes a request and queues it for writing behind all that were started before.
    ///
    /// The answer's future can be dropped at any time: the answer is then thrown away when it
    /// comes.
    ///
    /// # Errors
    /// None of them is [in doubt](RequestError::is_in_doubt): no common version, not encodable,
    /// queue full, or connection lost.
    pub fn start<R>(&self, request: &R) -> Result<Pending<R::Response>, RequestError>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        self.start_checked(request, |_| Ok(()))
    }

    /// As [`Connection::start`], with a check of whether the answer belongs to the question.
    ///
    /// Correlation ids tie an answer to a request, but a broker that mixes up topics or partitions
    /// mixes up offsets as well. When `check` says what is wrong, the connection ends with
    /// [`ProtocolViolation::Mismatch`](crate::ProtocolViolation::Mismatch).
    ///
    /// # Errors
    /// As [`Connection::start`].
    pub fn start_checked<R>(
        &self,
        request: &R,
        check: impl FnOnce(&R::Response) -> Result<(), String> + Send + 'static,
    ) -> Result<Pending<R::Response>, RequestError>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        let version = self.pick(request)?;
        self.shared().ask(Lane::Ordinary, request, version, check)
    }

    /// Sends a request and waits for its answer; waits for room in the queue first where necessary.
    ///
    /// # Errors
    /// [`RequestError`] tells whether the broker may have acted on it.
    pub async fn request<R>(&self, request: &R) -> Result<R::Response, RequestError>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        loop {
            match self.start(request) {
                Ok(pending) => return pending.await,
                Err(error) if error.is_queue_full() => self.ready().await,
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Connection::start`], for a request that no broker answers: Produce with acks=0.
    ///
    /// The future resolves when all bytes are with the kernel. Waiting for it before sending more
    /// is what keeps a sender from running ahead of the network.
    ///
    /// # Errors
    /// As [`Connection::start`].
    pub fn start_unacknowledged<R: Request>(
        &self,
        request: &R,
    ) -> Result<Pending<()>, RequestError> {
        let version = self.pick(request)?;
        self.shared().tell(request, version)
    }

    /// Queues a batch of one partition. It shares a Produce request with batches of other
    /// partitions that wait on this connection at the same time; batches of one partition keep
    /// their order.
    ///
    /// An answer that does not speak of exactly the partitions that were asked for ends the
    /// connection.
    ///
    /// # Errors
    /// None of them is [in doubt](RequestError::is_in_doubt): queue full, connection lost, or
    /// acks=0, which no broker answers.
    /// All other failures come with the answer's future, for each batch by itself.
    pub fn start_produce(
        &self,
        batch: ProduceBatch,
    ) -> Result<Pending<ProduceAnswer>, RequestError> {
        let submitted = self.shared().submitted(ApiKey::PRODUCE);
        if batch.acks == 0 {
            return Err(submitted.not_sent(RequestCause::Unacknowledged));
        }
        let (teller, pending) = Pending::channel(submitted);
        let submitted = self.shared().submit_batch(batch, teller);
        submitted.map_err(|cause| pending.submitted().not_sent(cause))?;
        Ok(pending)
    }

    /// Resolves when there is room in the queue for what was refused last, or the connection has
    /// ended.
    pub async fn ready(&self) {
        self.shared().wait_for_room().await;
    }

    /// True if the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.shared().failure().is_some()
    }

    /// Resolves when the connection has ended, with the reason.
    pub async fn closed(&self) -> ConnectionFailure {
        self.shared().wait_for_failure().await
    }

    /// Ends the connection now. Everybody who waits on it is told.
    pub fn close(&self) {
        self.shared().abort(ConnectionFailure::ClosedHere);
    }

    /// Bytes in flight, rate and round-trip time of the connection.
    pub fn link(&self) -> LinkStats {
        self.shared().link()
    }

    /// True if both are the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }

    /// Time since something was last sent or received.
    pub(crate) fn idle(&self) -> Duration {
        self.shared().idle()
    }

    /// Has `report` run once a second while the broker owes a response and sends nothing.
    pub(crate) fn watch_silence(&self, report: SilenceReport) {
        self.shared().watch_silence(report);
    }

    /// Has `report` run if the connection ends and leaves a request without a response.
    pub(crate) fn watch_failed_request(&self, report: FailedRequestReport) {
        self.shared().watch_failed_request(report);
    }

    /// A request that is submitted now, as its errors name it.
    pub(crate) fn submitted<R: Request>(&self) -> Submitted {
        self.shared().submitted(R::API_KEY)
    }

    /// Waits no more for this broker when it is silent: metadata names another leader.
    pub(crate) fn suspect(&self) {
        self.shared().suspect();
    }

    pub(crate) fn downgrade(&self) -> WeakConnection {
        WeakConnection {
            handle: Arc::downgrade(&self.handle),
            shared: Arc::clone(&self.handle.shared),
        }
    }

    fn pick<R: Request>(&self, request: &R) -> Result<i16, RequestError> {
        self.shared().versions.pick_for(request).map_err(|error| {
            let submitted = self.shared().submitted(R::API_KEY);
            submitted.not_sent(RequestCause::Unsupported(error))
        })
    }
}

impl WeakConnection {
    /// The connection, if somebody still uses it and it has not ended.
    pub(crate) fn upgrade(&self) -> Option<Connection> {
        let connection = Connection {
            handle: self.handle.upgrade()?,
        };
        (!connection.is_closed()).then_some(connection)
    }

    /// From when to when the connection lived, if it has ended otherwise than by this side's will.
    pub(crate) fn lost_life(&self) -> Option<(Instant, Instant)> {
        self.shared.lost_life()
    }

    /// Why the connection has ended, if it has.
    pub(crate) fn failure(&self) -> Option<ConnectionFailure> {
        self.shared.failure()
    }

    /// Ends the connection, if somebody still uses it.
    pub(crate) fn close(&self) {
        self.shared.abort(ConnectionFailure::ClosedHere);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", self.address())
            .field("failure", &self.shared().failure())
            .finish_non_exhaustive()
    }
}
