//! The end of a call, as its caller gets it.

use wolff_codec::{Offset, PartitionId};
use wolff_core::{DoubtReason, Outcome};

use crate::error::DeliveryError;

/// Kafka has the call's records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ack {
    /// The partition that the records are in.
    pub partition: PartitionId,
    /// Offset of the call's first record; the others follow it. `None` where the broker did not
    /// say: with acks=none, for a duplicate that the broker no longer remembers exactly, or for a
    /// batch that a later one proved.
    pub offset: Option<Offset>,
    /// True if the records may be in Kafka twice: an earlier attempt was in doubt, and the broker
    /// could not recognise the later one as its duplicate.
    pub possibly_duplicated: bool,
}

/// The end of a call: what a receipt resolves to, and what a callback gets.
pub type Delivery = Result<Ack, DeliveryError>;

/// Called with the end of a call.
pub(crate) type Callback = Box<dyn FnOnce(Delivery) + Send>;

/// A call's callback, on its way into the batch.
pub(crate) struct Observer {
    callback: Callback,
    sender_waits: bool,
}

impl Observer {
    /// A callback that is called with the end of the call, whatever it is.
    pub(crate) fn new(callback: Callback) -> Self {
        Self {
            callback,
            sender_waits: false,
        }
    }

    /// The verb that hands over the call waits for *queued*. If that fails, the error of the verb
    /// is the call's end, and the callback is not called.
    pub(crate) fn sender_waits(self) -> Self {
        Self {
            sender_waits: true,
            ..self
        }
    }

    pub(super) fn into_parts(self) -> (Callback, bool) {
        (self.callback, self.sender_waits)
    }
}

/// The end of one call of a run of records that ended together. `distance` is how many records of
/// the run precede the call's first one.
pub(super) fn delivery(
    partition: Option<PartitionId>,
    outcome: &Outcome,
    distance: u32,
) -> Delivery {
    match outcome {
        Outcome::Acked {
            base_offset,
            possibly_duplicated,
        } => Ok(Ack {
            partition: partition.unwrap_or(PartitionId(-1)),
            offset: base_offset.map(|base| Offset(base.0.saturating_add(i64::from(distance)))),
            possibly_duplicated: *possibly_duplicated,
        }),
        Outcome::Failed(reason) => Err(DeliveryError::Failed(reason.clone())),
        Outcome::InDoubt(reason) => Err(DeliveryError::InDoubt(*reason)),
        Outcome::LeftInQueue => Err(DeliveryError::LeftInQueue),
        // An end that this version does not know promises nothing.
        _ => Err(DeliveryError::InDoubt(DoubtReason::Dropped)),
    }
}
