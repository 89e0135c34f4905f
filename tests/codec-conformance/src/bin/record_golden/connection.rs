//! One connection to a broker, one request at a time, in bytes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wolff_codec::messages::{AnyRequest, AnyResponse};
use wolff_codec::wire::Writer;
use wolff_codec::{ApiKey, CorrelationId, FrameSplitter, RequestHeader, ResponseHeader, Str};

/// A failure; nothing branches on it.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The ceiling of a frame.
pub(crate) const MAX_FRAME_BYTES: usize = 64 << 20;

/// Longest time that a broker may take to respond.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    frames: Frames,
    next_correlation_id: i32,
}

/// A request and its response, as they went over the wire; and the response as it was understood.
pub(crate) struct Exchange {
    pub(crate) request: Bytes,
    pub(crate) response: Bytes,
    pub(crate) decoded: AnyResponse,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            frames: Frames::default(),
            next_correlation_id: 1,
        })
    }

    pub(crate) fn call(&mut self, request: &AnyRequest, version: i16) -> Result<Exchange, Failure> {
        let api_key = request.api_key();
        let header = RequestHeader {
            api_key,
            api_version: version,
            correlation_id: CorrelationId(self.next_correlation_id),
            client_id: Some(Str::from_static("wolff")),
            ..RequestHeader::default()
        };
        self.next_correlation_id += 1;
        let mut out = Writer::new();
        header.encode(&mut out)?;
        request.encode(version, &mut out)?;
        let request = out.finish().to_bytes();
        send(&mut self.stream, &request)?;
        let response = self
            .frames
            .next(&mut self.stream)?
            .ok_or_else(|| format!("the broker closed the connection on {api_key} {version}"))?;
        let (_, body) = ResponseHeader::decode(&response, api_key, version)?;
        let decoded = AnyResponse::decode(api_key, version, &body)
            .map_err(|error| format!("{api_key} {version}: {error}"))?;
        Ok(Exchange {
            request,
            response,
            decoded,
        })
    }
}

/// The frames of a stream.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// The next frame without its length prefix; none at the end of the stream.
    pub(crate) fn next(&mut self, stream: &mut TcpStream) -> io::Result<Option<Bytes>> {
        let splitter = FrameSplitter::new(MAX_FRAME_BYTES);
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some(frame) = splitter
                .next_frame(&mut self.buffer)
                .map_err(io::Error::other)?
            {
                return Ok(Some(frame));
            }
            match stream.read(&mut piece)? {
                0 => return Ok(None),
                count => self
                    .buffer
                    .extend_from_slice(piece.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// Writes a frame behind its length.
pub(crate) fn send(stream: &mut TcpStream, frame: &[u8]) -> io::Result<()> {
    let length = i32::try_from(frame.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(frame)
}

/// The name of an API and a version, for people.
pub(crate) fn name(api_key: ApiKey, version: i16) -> String {
    format!("{api_key} {version}")
}
