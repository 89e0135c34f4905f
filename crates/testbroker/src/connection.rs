//! One connection: requests are read and answered one after the other, as Kafka's brokers do.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use wolff_codec::ids::BrokerId;
use wolff_codec::{FrameSplitter, decode_request_header};

use crate::handle::{Reply, dispatch};
use crate::shared::Shared;

/// How much is written at once, in bytes; what is larger by itself is not copied.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// How much room there is at least for what comes next, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// Serves a client until it goes away, breaks the protocol, or a fault ends it.
pub(crate) async fn serve<S>(shared: &Arc<Shared>, broker: BrokerId, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Err(error) = converse(shared, broker, stream).await {
        tracing::debug!(%broker, %error, "connection lost");
    }
}

async fn converse<S>(shared: &Arc<Shared>, broker: BrokerId, stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let splitter = FrameSplitter::new(shared.config().max_request_bytes);
    let mut buffer = BytesMut::new();
    let mut stream = BufWriter::with_capacity(WRITE_BUFFER_BYTES, stream);
    while let Some(frame) = read_frame(&mut stream, &splitter, &mut buffer).await? {
        let (header, body) = decode_request_header(&frame).map_err(io::Error::other)?;
        let api = header.api_key;
        shared.count(broker, |stats| *stats.requests.entry(api).or_default() += 1);
        let reply = dispatch(shared, broker, &header, &body).await;
        if !shared.model().is_alive(broker) {
            // Killed meanwhile: the dead do not answer.
            return Ok(());
        }
        match reply {
            Reply::Nothing => {}
            Reply::Frame { frame, mute } => {
                for chunk in frame.iter() {
                    stream.write_all(chunk).await?;
                }
                stream.flush().await?;
                shared.count(broker, |stats| {
                    *stats.responses.entry(api).or_default() += 1
                });
                if !mute.is_zero() {
                    tokio::time::sleep(mute).await;
                }
            }
            Reply::Close(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
        }
    }
    Ok(())
}

/// The next frame; none if the client has gone away in between.
async fn read_frame<S>(
    stream: &mut S,
    splitter: &FrameSplitter,
    buffer: &mut BytesMut,
) -> io::Result<Option<Bytes>>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(frame) = splitter.next_frame(buffer).map_err(io::Error::other)? {
            return Ok(Some(frame));
        }
        buffer.reserve(READ_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
