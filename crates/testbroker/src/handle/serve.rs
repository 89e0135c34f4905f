//! Steps that every API has in common: a request is decoded, meets its faults, is served, and its
//! answer meets them too.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use wolff_codec::ids::{BrokerId, CorrelationId};
use wolff_codec::wire::Chunks;
use wolff_codec::{EncodeError, Request, RequestHeader, encode_response};

use crate::fault::{Asked, Effect, Script, Target};
use crate::model::Model;
use crate::sasl::Session;
use crate::shared::Shared;

/// A request that a broker can serve.
pub(crate) trait Serve: Request {
    /// The topics and partitions that the request names, for the filters of faults.
    fn targets(&self, _model: &Model) -> Vec<Target> {
        Vec::new()
    }

    /// Does what the request asks.
    fn serve(self, call: &Call<'_>) -> impl Future<Output = Served<Self::Response>> + Send;
}

/// The circumstances of a request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    /// The broker that was asked.
    pub(crate) broker: BrokerId,
    pub(crate) version: i16,
    /// Session of the client; `None` without SASL.
    pub(crate) session: Option<&'a Mutex<Session>>,
    /// Faults that the request meets.
    pub(crate) script: Script,
}

/// Outcome of a request.
#[derive(Debug)]
pub(crate) enum Served<T> {
    Answer(T),
    /// It wants no answer.
    Silence,
    /// The connection is closed, which is how a request that wants no answer learns of an error.
    Hangup,
}

/// Next step of a connection after a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Sends a frame, and goes on after a while.
    Frame { frame: Chunks, mute: Duration },
    /// Goes on.
    Nothing,
    /// Sends what there is and closes.
    Close(Bytes),
}

impl Reply {
    /// Sends a frame and goes on.
    pub(crate) fn frame(frame: Chunks) -> Self {
        Self::Frame {
            frame,
            mute: Duration::ZERO,
        }
    }

    /// Time that the connection is not read after it.
    pub(crate) fn mute(&self) -> Duration {
        match self {
            Self::Frame { mute, .. } => *mute,
            Self::Nothing | Self::Close(_) => Duration::ZERO,
        }
    }

    /// Closes without a word.
    pub(crate) fn hangup() -> Self {
        Self::Close(Bytes::new())
    }
}

/// Serves a request whose version is one of the codec's.
pub(super) async fn run<R: Serve>(
    shared: &Shared,
    broker: BrokerId,
    session: Option<&Mutex<Session>>,
    header: &RequestHeader,
    body: &Bytes,
) -> Reply
where
    R::Response: 'static,
{
    let request = match R::decode_front(body, header.api_version) {
        Ok((request, 0)) => request,
        Ok((request, left_over)) => {
            tracing::debug!(%broker, api = %header.api_key, left_over, "more bytes than the request");
            request
        }
        Err(error) => {
            tracing::debug!(%broker, api = %header.api_key, %error, "malformed request");
            return Reply::hangup();
        }
    };
    let targets = request.targets(&shared.model());
    let principal = session.and_then(|session| session.lock().principal().map(str::to_owned));
    let asked = Asked {
        broker,
        api: header.api_key,
        principal: principal.as_deref(),
        request_bytes: body.len(),
    };
    let script = shared.faults().draw(&asked, &targets);
    count_hits(shared, &script);
    let call = Call {
        shared,
        broker,
        version: header.api_version,
        session,
        script,
    };

    if undergo(&call, false).await.is_break() {
        return Reply::hangup();
    }
    let response = match request.serve(&call).await {
        Served::Answer(response) => Some(response),
        Served::Silence => None,
        Served::Hangup => return Reply::hangup(),
    };
    if undergo(&call, true).await.is_break() {
        return Reply::hangup();
    }
    let Some(mut response) = response else {
        return Reply::Nothing;
    };
    for (_, effect) in call.script.effects() {
        if let Effect::Edit(editor) = effect {
            editor.edit(&mut response);
        }
    }
    let encode = |correlation_id| encode_response(&response, header.api_version, correlation_id);
    reply(&call.script, header.correlation_id, encode).unwrap_or_else(|error| {
        tracing::warn!(%broker, api = %header.api_key, %error, "response cannot be encoded");
        Reply::hangup()
    })
}

fn count_hits(shared: &Shared, script: &Script) {
    if script.fault_ids().next().is_some() {
        shared.stats().send_modify(|stats| {
            for id in script.fault_ids() {
                let hits = stats.faults.entry(id).or_default();
                *hits = hits.saturating_add(1);
            }
        });
    }
}

/// Waits as long as the faults say, before the request is applied or after it; breaks if the
/// connection is to be closed.
async fn undergo(call: &Call<'_>, after_applying: bool) -> ControlFlow<()> {
    for (id, effect) in call.script.effects() {
        match effect {
            Effect::Delay { duration, applied } if *applied == after_applying => {
                tokio::time::sleep(*duration).await;
            }
            Effect::Hold { applied } if *applied == after_applying => {
                call.shared.removal_of(id).await;
            }
            Effect::Drop { applied } if *applied == after_applying => {
                return ControlFlow::Break(());
            }
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

/// The answer, as the faults leave it.
fn reply(
    script: &Script,
    correlation_id: CorrelationId,
    encode: impl Fn(CorrelationId) -> Result<Chunks, EncodeError>,
) -> Result<Reply, EncodeError> {
    let mut frame = None;
    for (_, effect) in script.effects() {
        match effect {
            Effect::HalfAnswer => {
                let whole = encode(correlation_id)?.to_bytes();
                return Ok(Reply::Close(whole.slice(..whole.len() / 2)));
            }
            Effect::WrongCorrelationId => {
                let other = CorrelationId(correlation_id.0.wrapping_add(1));
                frame = Some(encode(other)?);
            }
            Effect::Mangle(mangler) => {
                let whole = match frame.take() {
                    Some(frame) => frame,
                    None => encode(correlation_id)?,
                };
                frame = Some(Chunks::from(mangler.mangle(whole.to_bytes())));
            }
            Effect::RawAnswer(bytes) => frame = Some(Chunks::from(bytes.clone())),
            _ => {}
        }
    }
    let frame = match frame {
        Some(frame) => frame,
        None => encode(correlation_id)?,
    };
    Ok(Reply::Frame {
        frame,
        mute: script.throttle(),
    })
}
