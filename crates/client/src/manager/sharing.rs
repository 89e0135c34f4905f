//! Connection that a partition shares if no further one can be opened: decided without any I/O.
//!
//! Descriptors of this process run out, brokers limit connections per address
//! (`max.connections.per.ip`), and a user may set a limit. A partition that shares is slower than
//! one with a connection of its own, and better off than one with none.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::endpoint::Address;

/// For so long after an attempt failed for want of room, no other one is made.
const CROWDED: Duration = Duration::from_secs(30);

/// Brokers to which no more connections could be opened.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    until: HashMap<Address, Instant>,
    /// Goes around, so that shared connections are used alike.
    turn: usize,
}

impl Crowd {
    /// True if connections to the broker are shared without an attempt to open another one.
    pub(super) fn is_crowded(&self, now: Instant, address: &Address) -> bool {
        self.until.get(address).is_some_and(|until| now < *until)
    }

    /// A further connection could not be opened. Returns whether that is news.
    pub(super) fn handle_crowding(&mut self, now: Instant, address: &Address) -> bool {
        self.until.retain(|_, until| now < *until + CROWDED);
        self.until.insert(address.clone(), now + CROWDED).is_none()
    }

    /// One of the open connections, each in turn.
    pub(super) fn choose(&mut self, open: &[Connection]) -> Option<Connection> {
        self.turn = self.turn.wrapping_add(1);
        let index = self.turn.checked_rem(open.len())?;
        open.get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_counts_as_crowded_for_a_while_and_is_news_once() {
        let mut crowd = Crowd::default();
        let (start, address) = (Instant::now(), Address::new("a", 9092));
        assert!(!crowd.is_crowded(start, &address));
        assert!(crowd.handle_crowding(start, &address));
        assert!(crowd.is_crowded(start, &address));
        assert!(!crowd.handle_crowding(start + CROWDED / 2, &address));
        assert!(!crowd.is_crowded(start + CROWDED * 2, &address));
        assert!(
            crowd.handle_crowding(start + CROWDED * 3, &address),
            "news again"
        );
        assert!(crowd.choose(&[]).is_none());
    }
}
