//! Effects of faults, and the changes of responses that a test makes by itself.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wolff_codec::ErrorCode;

use crate::sasl::ScramLie;

/// Effect of a fault on a request.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// It is answered with an error, applied or not.
    Error { code: ErrorCode, applied: bool },
    /// It waits: before it is applied, or its answer does.
    Delay { duration: Duration, applied: bool },
    /// The same until the fault is removed.
    Hold { applied: bool },
    /// It is answered, and the connection is not read for a while.
    Throttle { duration: Duration },
    /// The same, for as long as its bytes take at that rate.
    Quota { bytes_per_second: u64 },
    /// The connection is closed instead of an answer.
    Drop { applied: bool },
    /// The first half of the answer, then the connection is closed.
    HalfAnswer,
    /// The answer carries another correlation id.
    WrongCorrelationId,
    /// These bytes instead of the answer.
    RawAnswer(Bytes),
    /// Not the truth in a SCRAM exchange.
    ScramLie(ScramLie),
    /// The answer is changed before it is encoded.
    Edit(Editor),
    /// The encoded answer is changed.
    Mangle(Mangler),
}

/// Changes an answer in place.
type Edit = dyn Fn(&mut dyn Any) + Send + Sync;

/// Changes a response of the type that it was made for.
#[derive(Clone)]
pub(crate) struct Editor(Arc<Edit>);

impl Editor {
    pub(crate) fn new(edit: impl Fn(&mut dyn Any) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    pub(crate) fn edit(&self, response: &mut dyn Any) {
        (self.0)(response);
    }
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Editor")
    }
}

/// Changes a frame, length prefix included.
#[derive(Clone)]
pub(crate) struct Mangler(Arc<dyn Fn(Bytes) -> Bytes + Send + Sync>);

impl Mangler {
    pub(crate) fn new(mangle: impl Fn(Bytes) -> Bytes + Send + Sync + 'static) -> Self {
        Self(Arc::new(mangle))
    }

    pub(crate) fn mangle(&self, frame: Bytes) -> Bytes {
        (self.0)(frame)
    }
}

impl fmt::Debug for Mangler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mangler")
    }
}
