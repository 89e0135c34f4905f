//! Asks a node whether it is ready, in raw bytes: so the probe depends on none of the crates that
//! it helps to test.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Longest time that one step of the probe may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;

/// The node ids that the broker on this port knows as alive.
///
/// The broker must first accept ApiVersions v0. That alone is not enough: a KRaft broker answers it
/// before it has joined, and then tells its first clients of a cluster without brokers. So the
/// brokers of a Metadata v1 answer are what counts.
pub(crate) fn brokers_known_to(port: u16) -> io::Result<Vec<i32>> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;

    let mut versions = Answer(exchange(&mut stream, API_VERSIONS, 0, &[])?);
    match versions.int16()? {
        0 => {}
        code => {
            return Err(io::Error::other(format!(
                "ApiVersions answers with error code {code}"
            )));
        }
    }

    let no_topics = 0_i32.to_be_bytes();
    let mut metadata = Answer(exchange(&mut stream, METADATA, 1, &no_topics)?);
    let count = metadata.int32()?;
    (0..count).map(|_| metadata.broker()).collect()
}

/// Sends one request and returns the body of its answer. Both are versions whose headers have no
/// tagged fields.
fn exchange(
    stream: &mut TcpStream,
    api_key: i16,
    version: i16,
    body: &[u8],
) -> io::Result<Vec<u8>> {
    const CORRELATION_ID: i32 = 1;
    const NO_CLIENT_ID: i16 = -1;
    let mut frame = Vec::new();
    frame.extend(api_key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(CORRELATION_ID.to_be_bytes());
    frame.extend(NO_CLIENT_ID.to_be_bytes());
    frame.extend(body);
    let length = i32::try_from(frame.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&frame)?;

    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix)?;
    let length = usize::try_from(i32::from_be_bytes(prefix)).map_err(io::Error::other)?;
    if length > MAX_ANSWER_BYTES {
        return Err(io::Error::other("this is no Kafka: its answer is too long"));
    }
    let mut answer = Answer(vec![0; length]);
    stream.read_exact(&mut answer.0)?;
    match answer.int32()? {
        CORRELATION_ID => Ok(answer.0),
        other => Err(io::Error::other(format!(
            "this is no Kafka: it answers request {other}"
        ))),
    }
}

/// Rest of a response.
struct Answer(Vec<u8>);

impl Answer {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let taken = self
            .0
            .first_chunk()
            .copied()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0.drain(..N);
        Ok(taken)
    }

    fn int16(&mut self) -> io::Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> io::Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn skip_string(&mut self) -> io::Result<()> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        if length > self.0.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.drain(..length);
        Ok(())
    }

    /// A broker of Metadata v1: node id, host, port, rack.
    fn broker(&mut self) -> io::Result<i32> {
        let node_id = self.int32()?;
        self.skip_string()?;
        self.int32()?;
        self.skip_string()?;
        Ok(node_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// Serves one connection with canned answer bodies.
    fn serve(answers: Vec<Vec<u8>>) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut prefix = [0; 4];
                stream.read_exact(&mut prefix).unwrap();
                let mut request = vec![0; usize::try_from(i32::from_be_bytes(prefix)).unwrap()];
                stream.read_exact(&mut request).unwrap();
                let length = u32::try_from(answer.len()).unwrap() + 4;
                stream.write_all(&length.to_be_bytes()).unwrap();
                stream.write_all(&request[4..8]).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        port
    }

    #[test]
    fn the_brokers_of_the_metadata_answer_are_reported() {
        let api_versions = vec![0, 0, 0, 0, 0, 0];
        let metadata = [
            &[0, 0, 0, 2][..],
            &[0, 0, 0, 1, 0, 1, b'h', 0, 0, 0, 9, 0xff, 0xff],
            &[0, 0, 0, 3, 0, 1, b'h', 0, 0, 0, 9, 0, 1, b'r'],
        ];
        let port = serve(vec![api_versions, metadata.concat()]);
        assert_eq!(brokers_known_to(port).unwrap(), [1, 3]);
    }

    #[test]
    fn an_error_code_and_a_cut_answer_are_no_readiness() {
        assert!(brokers_known_to(serve(vec![vec![0, 35]])).is_err());
        assert!(brokers_known_to(serve(vec![vec![0, 0], vec![0, 0, 0, 1, 0, 0]])).is_err());
    }
}
