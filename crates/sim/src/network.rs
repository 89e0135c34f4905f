//! The client's way to brokers in memory.

use std::fmt;
use std::io;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use wolff_backoff::Random;
use wolff_client::{Address, BoxStream, Dial, DialFuture, HostReason};
use wolff_testbroker::MemoryNetwork;

use crate::trace::Trace;

/// The longest that connecting takes, in microseconds.
const LONGEST_DIAL_US: u64 = 5_000;

/// Dials brokers of a network in memory; how long it takes is drawn from a seed.
pub(crate) struct MemoryDialer {
    network: MemoryNetwork,
    random: Mutex<Random>,
    trace: Trace,
}

impl MemoryDialer {
    pub(crate) fn new(network: &MemoryNetwork, random: Random, trace: &Trace) -> Self {
        Self {
            network: network.clone(),
            random: Mutex::new(random),
            trace: trace.clone(),
        }
    }
}

impl Dial for MemoryDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        Box::pin(async move {
            let wait = self.random.lock().below(LONGEST_DIAL_US);
            sleep(Duration::from_micros(wait)).await;
            let connected = self.network.connect(address.host(), address.port());
            self.trace.note(format_args!(
                "dial {address}: {}",
                if connected.is_ok() {
                    "connected"
                } else {
                    "refused"
                }
            ));
            match connected {
                Ok(stream) => Ok(Box::new(stream) as BoxStream),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    Err(HostReason::Refused)
                }
                Err(error) => Err(HostReason::NameNotFound(error.to_string())),
            }
        })
    }
}

impl fmt::Debug for MemoryDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDialer").finish_non_exhaustive()
    }
}
