//! The request that an error follows from: to whom, which, and how long it took.

use std::fmt;
use std::time::Duration;

use wolff_codec::{ApiKey, BrokerId};

use crate::endpoint::Address;

/// The request that an error follows from, by its response or for want of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestContext {
    address: Address,
    broker: Option<BrokerId>,
    api: ApiKey,
    took: Duration,
}

impl RequestContext {
    pub(crate) fn new(
        address: Address,
        broker: Option<BrokerId>,
        api: ApiKey,
        took: Duration,
    ) -> Self {
        Self {
            address,
            broker,
            api,
            took,
        }
    }

    /// Address of the broker, as it was dialled.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Id of the broker; `None` where the connection was opened to an address alone, as to a
    /// bootstrap host.
    pub fn broker(&self) -> Option<BrokerId> {
        self.broker
    }

    /// The API of the request.
    pub fn api(&self) -> ApiKey {
        self.api
    }

    /// The time from the request to the response, or to the error.
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.api, self.address)?;
        if let Some(broker) = self.broker {
            write!(f, " (broker {broker})")?;
        }
        match self.took.as_millis() {
            millis @ 0..10_000 => write!(f, " after {millis} ms"),
            millis => write!(f, " after {} s", millis / 1_000),
        }
    }
}
