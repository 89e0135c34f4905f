//! One client's connection through the proxy, from its first byte to its end.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use super::conditions::Direction;
use super::conversation::Conversation;
use super::course::Course;
use super::fault::{Fate, Incident};
use super::pump::Way;
use super::rewrite::Detours;
use super::shared::Shared;

/// Bytes that are thrown away at once.
const DRAIN_BYTES: usize = 4096;

/// Serves one client of the broker at `upstream`. The number makes its jitter its own.
pub(super) async fn serve(
    shared: &Arc<Shared>,
    detours: &dyn Detours,
    upstream: &str,
    mut client: TcpStream,
    number: u64,
) {
    let mut orders = shared.orders.subscribe();
    let incidents = shared.incidents(upstream);
    #[expect(
        clippy::disallowed_methods,
        reason = "the proxy stands between sockets"
    )]
    let connected = TcpStream::connect(upstream).await;
    let mut broker = match connected {
        Ok(broker) => broker,
        Err(error) => {
            tracing::debug!(upstream, %error, "broker cannot be reached");
            let _ = client.set_zero_linger();
            return;
        }
    };
    // Without it answers are late, nothing worse.
    let _ = client.set_nodelay(true);
    let _ = broker.set_nodelay(true);

    let moving = Exchange {
        shared,
        detours,
        conversation: Mutex::new(Conversation::new(upstream)),
        seed: shared.seed.wrapping_add(number.wrapping_mul(2)),
    };
    let fate = tokio::select! {
        biased;
        _ = orders.changed() => *orders.borrow_and_update(),
        ended = moving.run(incidents, &mut client, &mut broker) => ended,
    };
    tracing::debug!(upstream, number, ?fate, "connection ends");
    match fate {
        Fate::Close => {}
        Fate::Reset => {
            // If that fails the connection is closed in order, and the test will notice.
            let _ = client.set_zero_linger();
            let _ = broker.set_zero_linger();
        }
        Fate::HalfOpen => {
            drop(broker);
            tokio::select! {
                _ = orders.changed() => {}
                () = drain(&mut client) => {}
            }
        }
        Fate::BlackHole => {
            let broker_is_ignored = async {
                drain(&mut broker).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                _ = orders.changed() => {}
                () = drain(&mut client) => {}
                () = broker_is_ignored => {}
            }
        }
    }
}

/// Both directions while the connection is whole.
struct Exchange<'a> {
    shared: &'a Shared,
    detours: &'a dyn Detours,
    conversation: Mutex<Conversation>,
    seed: u64,
}

impl Exchange<'_> {
    /// Moves bytes both ways; returns how the connection is to end.
    async fn run(
        &self,
        incidents: Vec<(Direction, Incident)>,
        client: &mut TcpStream,
        broker: &mut TcpStream,
    ) -> Fate {
        let course = |direction| {
            let own = incidents.iter().filter(|(other, _)| *other == direction);
            Course::new(own.map(|(_, incident)| *incident).collect())
        };
        let (client_read, client_write) = client.split();
        let (broker_read, broker_write) = broker.split();
        let to_broker = self.way(Direction::ToBroker);
        let to_client = self.way(Direction::ToClient);
        let both = tokio::try_join!(
            to_broker.pump(client_read, broker_write, course(Direction::ToBroker)),
            to_client.pump(broker_read, client_write, course(Direction::ToClient)),
        );
        both.err().unwrap_or(Fate::Close)
    }

    fn way(&self, direction: Direction) -> Way<'_> {
        Way {
            direction,
            shared: self.shared,
            detours: self.detours,
            conversation: &self.conversation,
            seed: match direction {
                Direction::ToBroker => self.seed,
                Direction::ToClient => self.seed.wrapping_add(1),
            },
        }
    }
}

/// Reads until the peer has gone, and forgets what it says.
async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut nowhere = [0; DRAIN_BYTES];
    while let Ok(1..) = stream.read(&mut nowhere).await {}
}
