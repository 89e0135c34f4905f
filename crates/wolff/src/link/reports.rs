//! Reports of a worker about its leader: once, or ever more rarely while it goes on.

use std::time::Duration;

use wolff_client::{Address, ConnectError, RequestError};
use wolff_codec::{ApiKey, ErrorCode, PartitionId};
use wolff_core::{Answer, Refusal};

use super::identity::NoIdentity;
use crate::error::RequestFailure;
use crate::troubles::Troubles;

/// Reports of one partition, with the counts by which they become rarer.
pub(super) struct Reports {
    partition: PartitionId,
    troubles: Troubles,
    /// Attempts in a row to connect that failed.
    failed_connects: u32,
    /// Connections in a row that ended without a response to a request of this partition.
    lost_connections: u32,
    /// A loss of the present connection is reported already: what else was in flight ends with it.
    is_loss_reported: bool,
    /// Number of times that the cluster was found to have lost something.
    losses: u64,
}

impl Reports {
    pub(super) fn new(partition: PartitionId, troubles: Troubles) -> Self {
        Self {
            partition,
            troubles,
            failed_connects: 0,
            lost_connections: 0,
            is_loss_reported: false,
            losses: 0,
        }
    }

    pub(super) fn connected(&mut self, broker: i32) {
        tracing::debug!(
            partition = self.partition.0,
            broker,
            "connected to the leader"
        );
        self.failed_connects = 0;
        self.is_loss_reported = false;
        self.troubles.connected(self.partition, None);
    }

    pub(super) fn connect_failed(&mut self, error: ConnectError) {
        let attempts = self.failed_connects.saturating_add(1);
        self.failed_connects = attempts;
        if attempts.is_power_of_two() {
            tracing::warn!(partition = self.partition.0, attempts, %error, "no connection to the leader");
        }
        self.troubles.connected(self.partition, Some(error));
    }

    /// A request ended without a response, so long after it was sent to `broker`.
    pub(super) fn request_failed(
        &mut self,
        api: ApiKey,
        broker: &Address,
        after: Duration,
        error: &RequestError,
    ) {
        let partition = self.partition.0;
        tracing::debug!(partition, %api, %broker, ?after, %error, "a request to the leader failed");
        if std::mem::replace(&mut self.is_loss_reported, true) {
            return;
        }
        let times = self.lost_connections.saturating_add(1);
        self.lost_connections = times;
        let failure = RequestFailure {
            broker: broker.clone(),
            api,
            after,
            cause: error.cause().clone(),
        };
        if times.is_power_of_two() {
            tracing::warn!(partition, times, error = %error.cause(), "{failure}: it is sent again");
        }
        self.troubles.responded(self.partition, Some(failure));
    }

    /// A request has a response.
    pub(super) fn responded(&mut self) {
        // Otherwise there is nothing to forget, and no lock to take.
        if std::mem::take(&mut self.lost_connections) > 0 {
            self.troubles.responded(self.partition, None);
        }
    }

    /// A refusal is logged when it is new, and again ever more rarely; `before` is the one that the
    /// machine knows from earlier responses.
    pub(super) fn refused(&self, answer: &Answer, before: Option<&Refusal>) {
        let count = before
            .filter(|refusal| refusal.code == answer.code)
            .map_or(1, |refusal| refusal.count.saturating_add(1));
        let partition = self.partition.0;
        // Not `message`: that is the name of the text of the event.
        let (error, said): (ErrorCode, _) = (answer.code, answer.message.as_deref());
        if count > 2 && count.is_power_of_two() {
            tracing::warn!(partition, %error, said, count, "the broker keeps refusing a batch");
        } else {
            tracing::debug!(partition, %error, said, count, "the broker refused a batch");
        }
    }

    /// The cluster was found to have lost something, so often by now.
    pub(super) fn lost(&mut self, losses: u64) {
        if losses > std::mem::replace(&mut self.losses, losses) {
            tracing::error!(
                partition = self.partition.0,
                losses,
                "the cluster has lost records that it had acknowledged, or took a batch for another one"
            );
        }
    }

    /// The cluster gave no producer id; `goes_on` without idempotence.
    pub(super) fn no_identity(&self, reason: &NoIdentity, goes_on: bool) {
        let partition = self.partition.0;
        if reason.is_refused() && goes_on {
            tracing::warn!(
                partition, %reason,
                "the cluster gives no producer id: going on without idempotence, at least once"
            );
        } else if reason.is_refused() {
            tracing::error!(
                partition, %reason,
                "the cluster gives no producer id, and idempotence is required: nothing is sent; grant IDEMPOTENT_WRITE on the cluster or WRITE on the topic"
            );
        } else if matches!(reason, NoIdentity::Malformed { .. }) {
            tracing::error!(partition, %reason, "the request for a producer id is sent again");
        }
    }
}
