//! The null broker on a thread of its own.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::answers::Received;
use super::server::{NullBroker, Shared};

impl NullBroker {
    /// Serves clients on threads of its own until the returned value is dropped.
    #[must_use]
    pub fn start(self) -> RunningNullBroker {
        let (address, shared) = (self.address(), Arc::clone(&self.shared));
        let accept = thread::spawn(move || {
            if let Err(error) = self.run() {
                tracing::warn!(%error, "no more connections are accepted");
            }
        });
        RunningNullBroker {
            address,
            shared,
            accept: Some(accept),
        }
    }
}

/// A [`NullBroker`] at work. Dropping it closes its connections and its port.
#[derive(Debug)]
pub struct RunningNullBroker {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

impl RunningNullBroker {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the counts of what has come so far.
    #[must_use]
    pub fn received(&self) -> Received {
        self.shared.received()
    }
}

impl Drop for RunningNullBroker {
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection to itself, which ends the thread that accepts"
    )]
    fn drop(&mut self) {
        self.shared.stop();
        // Whoever waits for a connection learns of it by one.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accept) = self.accept.take()
        {
            // It does not panic, and if it did that would be said already.
            let _ = accept.join();
        }
    }
}
