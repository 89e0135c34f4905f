//! The null broker's sockets: blocking, a thread for each connection, no runtime.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;
use wolff_codec::Str;
use wolff_codec::wire::Chunks;

use super::answers::{Answers, Received};

/// The longest request that is taken, in bytes.
const MAX_REQUEST_BYTES: usize = 128 * 1024 * 1024;

/// Small requests are read from this many bytes; of large ones only the beginning is copied through
/// them.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A broker for benchmarks: it acknowledges every batch at once and keeps nothing.
///
/// Every topic that is asked for exists, with the same number of partitions. Requests cost it the
/// system calls and little else: records are neither decoded nor decompressed, buffers are reused.
/// [`run`](Self::run) uses the caller's thread and one more for each connection, which inherits its
/// CPU affinity: pin the caller, or the process, and the broker is pinned.
///
/// ```
/// use wolff_testbroker::NullBroker;
///
/// let broker = NullBroker::bind("127.0.0.1:0", "orders", 6)?.start();
/// println!("listening on {}", broker.address());
/// // … a client produces …
/// println!("{} records came", broker.received().records);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NullBroker {
    listener: TcpListener,
    address: SocketAddr,
    pub(super) shared: Arc<Shared>,
}

/// State shared by the connections and the owner.
#[derive(Debug)]
pub(super) struct Shared {
    answers: Answers,
    connections: Mutex<Connections>,
}

/// The connections that are open; none any more once the broker is stopped.
#[derive(Debug, Default)]
struct Connections {
    is_stopped: bool,
    last_id: u64,
    open: std::collections::BTreeMap<u64, TcpStream>,
}

impl NullBroker {
    /// Listens on an address. `topic` is what clients find that ask for all topics.
    ///
    /// # Errors
    /// When the system does not let it listen there.
    pub fn bind(address: impl ToSocketAddrs, topic: &str, partitions: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let host = Str::from(address.ip().to_string());
        let answers = Answers::new(Str::from(topic), partitions, host, address.port());
        let shared = Shared {
            answers,
            connections: Mutex::default(),
        };
        Ok(Self {
            listener,
            address,
            shared: Arc::new(shared),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves clients on this thread and one more for each connection, for as long as connections
    /// can be accepted.
    ///
    /// # Errors
    /// When one cannot be accepted.
    pub fn run(self) -> io::Result<()> {
        for stream in self.listener.incoming() {
            let stream = stream?;
            let Some(id) = self.shared.open(&stream)? else {
                return Ok(());
            };
            let shared = Arc::clone(&self.shared);
            thread::Builder::new()
                .name("null-broker".to_owned())
                .spawn(move || {
                    // A client that goes away, or speaks nonsense, loses its connection and nothing
                    // else.
                    if let Err(error) = shared.serve(&stream) {
                        tracing::debug!(%error, "connection lost");
                    }
                    shared.connections.lock().open.remove(&id);
                })?;
        }
        Ok(())
    }
}

impl Shared {
    pub(super) fn received(&self) -> Received {
        self.answers.received()
    }

    /// Closes all connections; the next one is not served.
    pub(super) fn stop(&self) {
        let mut connections = self.connections.lock();
        connections.is_stopped = true;
        for stream in connections.open.values() {
            // It may be closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Notes a new connection; none if the broker is stopped.
    fn open(&self, stream: &TcpStream) -> io::Result<Option<u64>> {
        let mut connections = self.connections.lock();
        if connections.is_stopped {
            return Ok(None);
        }
        connections.last_id = connections.last_id.wrapping_add(1);
        let id = connections.last_id;
        connections.open.insert(id, stream.try_clone()?);
        Ok(Some(id))
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut output = stream;
        let mut input = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
        // As long as the longest request so far: growing is all that ever costs.
        let mut buffer = Vec::new();
        loop {
            let mut prefix = [0; 4];
            if let Err(error) = input.read_exact(&mut prefix) {
                let is_gone = error.kind() == io::ErrorKind::UnexpectedEof;
                return if is_gone { Ok(()) } else { Err(error) };
            }
            let length = usize::try_from(i32::from_be_bytes(prefix))
                .ok()
                .filter(|length| *length <= MAX_REQUEST_BYTES)
                .ok_or(io::ErrorKind::InvalidData)?;
            if buffer.len() < length {
                buffer.resize(length, 0);
            }
            if let Some(frame) = buffer.get_mut(..length) {
                input.read_exact(frame)?;
            }
            // Shared while the request is looked at, then taken back without copying.
            let whole = Bytes::from(std::mem::take(&mut buffer));
            let answer = self
                .answers
                .answer(&whole.slice(..length))
                .map_err(io::Error::other)?;
            if let Some(answer) = answer {
                write_all(&mut output, &answer)?;
            }
            buffer = Vec::from(whole);
        }
    }
}

fn write_all(output: &mut &TcpStream, answer: &Chunks) -> io::Result<()> {
    // A small answer is one piece already.
    output.write_all(&answer.to_bytes())
}
