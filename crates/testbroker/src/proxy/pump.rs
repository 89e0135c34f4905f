//! One direction of one connection: bytes are read, wait their time, and are written.

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::conditions::{Conditions, Direction};
use super::conversation::{Conversation, Parcel};
use super::course::Course;
use super::fault::Fate;
use super::pace::Pace;
use super::rewrite::Detours;
use super::shared::Shared;

/// The most that is read at once, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// Number of parcels that may be under way: what comes after them waits in the sender's socket.
const PARCELS: usize = 1024;

/// State of one direction of a connection.
pub(super) struct Way<'a> {
    pub(super) direction: Direction,
    pub(super) shared: &'a Shared,
    pub(super) detours: &'a dyn Detours,
    pub(super) conversation: &'a Mutex<Conversation>,
    pub(super) seed: u64,
}

/// A parcel with its time.
struct Posted {
    parcel: Parcel,
    due: Instant,
}

impl Way<'_> {
    /// Moves bytes until the reader ends and everything has arrived.
    ///
    /// # Errors
    /// How the whole connection is to end, when that is decided here.
    pub(super) async fn pump(
        &self,
        read: impl AsyncRead + Unpin,
        write: impl AsyncWrite + Unpin,
        course: Course,
    ) -> Result<(), Fate> {
        let (posted, arriving) = mpsc::channel(PARCELS);
        tokio::try_join!(
            self.post(read, posted),
            self.deliver(arriving, write, course)
        )?;
        Ok(())
    }

    async fn post(
        &self,
        mut read: impl AsyncRead + Unpin,
        posted: mpsc::Sender<Posted>,
    ) -> Result<(), Fate> {
        let mut conditions = self.shared.conditions(self.direction).subscribe();
        let mut pace = Pace::new(self.seed);
        let mut received = BytesMut::new();
        loop {
            unstalled(&mut conditions).await;
            received.reserve(READ_BYTES);
            let count = read.read_buf(&mut received).await;
            let has_ended = count.map_err(|_| Fate::Reset)? == 0;
            let line = *conditions.borrow();
            let now = Instant::now();
            let mut parcels = self.conversation.lock().handle(
                self.direction,
                &mut received,
                self.shared,
                self.detours,
            );
            if has_ended && !received.is_empty() {
                // A frame that will never be whole.
                let bytes = received.split().freeze();
                parcels.push(Parcel {
                    bytes,
                    ..Parcel::default()
                });
            }
            for parcel in parcels {
                let due = pace.due(now, &line) + parcel.delay;
                if posted.send(Posted { parcel, due }).await.is_err() {
                    return Ok(());
                }
            }
            if has_ended {
                return Ok(());
            }
        }
    }

    async fn deliver(
        &self,
        mut arriving: mpsc::Receiver<Posted>,
        mut write: impl AsyncWrite + Unpin,
        mut course: Course,
    ) -> Result<(), Fate> {
        let mut conditions = self.shared.conditions(self.direction).subscribe();
        let mut pace = Pace::new(self.seed);
        loop {
            if let Some(fate) = course.fate() {
                return Err(fate);
            }
            let Some(Posted { parcel, due }) = arriving.recv().await else {
                // The peer may be gone already; the other direction will tell.
                let _ = write.shutdown().await;
                return Ok(());
            };
            sleep_until(due).await;
            let mut rest = parcel.bytes;
            while !rest.is_empty() {
                let line = unstalled(&mut conditions).await;
                let len = course.allowed_bytes(Pace::piece_bytes(rest.len(), &line));
                if len == 0 {
                    return Err(course.fate().unwrap_or(Fate::Close));
                }
                sleep_until(pace.book(Instant::now(), len, &line)).await;
                let piece = course.pass(rest.split_to(len));
                write.write_all(&piece).await.map_err(|_| Fate::Reset)?;
                self.count(len);
            }
            if let Some(fate) = parcel.end {
                return Err(fate);
            }
        }
    }

    fn count(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.shared.count(|stats| match self.direction {
            Direction::ToBroker => stats.bytes_to_broker += bytes,
            Direction::ToClient => stats.bytes_to_client += bytes,
        });
    }
}

/// Waits until something may pass, and says under which conditions.
async fn unstalled(conditions: &mut watch::Receiver<Conditions>) -> Conditions {
    match conditions.wait_for(|line| !line.is_stalled).await {
        Ok(line) => *line,
        // The sender lives as long as the proxy's connections.
        Err(_) => Conditions::default(),
    }
}
