//! One message of a SASL mechanism, in Kafka's headers or bare.

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::time::Instant;
use wolff_codec::ids::BrokerId;
use wolff_codec::wire::Chunks;

use super::serve::Reply;
use crate::sasl::{Answer, Refusal, ScramLie, Session};
use crate::shared::Shared;

/// Takes a message of the client, and counts what comes of it.
///
/// # Errors
/// Why the client is refused.
pub(super) fn authenticate(
    shared: &Shared,
    broker: BrokerId,
    session: &Mutex<Session>,
    message: &[u8],
    lie: Option<&ScramLie>,
) -> Result<Answer, Refusal> {
    let outcome = match shared.sasl() {
        Some(sasl) => session.lock().handle(&sasl, message, lie, Instant::now()),
        None => Err(Refusal::WrongCredentials),
    };
    shared.count(broker, |stats| match &outcome {
        Ok(Answer { success: None, .. }) => {}
        Ok(Answer {
            success: Some(success),
            ..
        }) => {
            if success.is_renewed {
                stats.reauthentications += 1;
            } else {
                stats.authentications += 1;
            }
        }
        Err(_) => stats.authentication_failures += 1,
    });
    outcome
}

/// Takes a token that came without a header; the answer has none either. Who is refused is not told
/// why.
pub(crate) fn bare_token(
    shared: &Shared,
    broker: BrokerId,
    session: &Mutex<Session>,
    token: &[u8],
) -> Reply {
    let Ok(answer) = authenticate(shared, broker, session, token, None) else {
        return Reply::hangup();
    };
    let Ok(length) = u32::try_from(answer.message.len()) else {
        return Reply::hangup();
    };
    let mut frame = BytesMut::with_capacity(4 + answer.message.len());
    frame.put_u32(length);
    frame.extend_from_slice(&answer.message);
    Reply::frame(Chunks::from(Bytes::from(frame)))
}
