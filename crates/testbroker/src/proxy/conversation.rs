//! Conversation of a client and a broker, as far as the proxy follows it: requests, and which
//! response is whose.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wolff_codec::{ApiKey, CorrelationId, decode_request_header, response_correlation_id};

use super::conditions::Direction;
use super::fault::{Fate, ResponseEffect};
use super::rewrite::{Detours, rewrite};
use super::shared::Shared;

const PREFIX_BYTES: usize = 4;

/// Longer frames than that are not Kafka's, whose brokers take 100 MiB.
const MAX_FRAME_BYTES: usize = 128 * 1024 * 1024;

/// The content type of a TLS handshake. As the first byte of a frame's length it would mean 352
/// MiB.
const TLS_HANDSHAKE: u8 = 22;

/// Requests without a response that are remembered. Requests that want none stay until a later one
/// is answered.
const MAX_PENDING: usize = 100_000;

/// One connection, followed.
#[derive(Debug)]
pub(super) struct Conversation {
    upstream: String,
    protocol: Protocol,
    pending: VecDeque<Asked>,
}

/// Protocol of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    /// Nobody has said anything yet.
    Unknown,
    Kafka,
    /// Encrypted, or not understood: bytes.
    Opaque,
}

/// A request that may be answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    correlation_id: CorrelationId,
    api: ApiKey,
    version: i16,
}

/// Bytes that go on to the other side.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parcel {
    pub(super) bytes: Bytes,
    /// Delay beside everything else.
    pub(super) delay: Duration,
    /// End of the connection after it.
    pub(super) end: Option<Fate>,
}

impl Parcel {
    fn of(bytes: Bytes) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }
}

impl Conversation {
    pub(super) fn new(upstream: &str) -> Self {
        Self {
            upstream: upstream.to_owned(),
            protocol: Protocol::Unknown,
            pending: VecDeque::new(),
        }
    }

    /// Takes what has come from one side and is whole, and says what goes on to the other.
    pub(super) fn handle(
        &mut self,
        direction: Direction,
        received: &mut BytesMut,
        shared: &Shared,
        detours: &dyn Detours,
    ) -> Vec<Parcel> {
        if self.protocol == Protocol::Unknown
            && direction == Direction::ToBroker
            && let Some(first) = received.first()
        {
            self.protocol = match *first {
                TLS_HANDSHAKE => Protocol::Opaque,
                _ => Protocol::Kafka,
            };
        }
        let mut parcels = Vec::new();
        while self.protocol == Protocol::Kafka {
            match take_frame(received) {
                Ok(Some(whole)) => match direction {
                    Direction::ToBroker => parcels.push(self.handle_request(whole, shared)),
                    Direction::ToClient => {
                        parcels.extend(self.handle_response(whole, shared, detours));
                    }
                },
                Ok(None) => return parcels,
                Err(NotAFrame) => self.protocol = Protocol::Opaque,
            }
        }
        if !received.is_empty() {
            parcels.push(Parcel::of(received.split().freeze()));
        }
        parcels
    }

    fn handle_request(&mut self, whole: Bytes, shared: &Shared) -> Parcel {
        let frame = whole.slice(PREFIX_BYTES..);
        if let Ok((header, _)) = decode_request_header(&frame) {
            let asked = Asked {
                correlation_id: header.correlation_id,
                api: header.api_key,
                version: header.api_version,
            };
            shared.count(|stats| *stats.requests.entry(asked.api).or_default() += 1);
            if self.pending.len() >= MAX_PENDING {
                self.pending.pop_front();
            }
            self.pending.push_back(asked);
            if asked.api == ApiKey::SASL_HANDSHAKE && asked.version == 0 {
                // Tokens without headers follow, and nothing says where they end.
                self.protocol = Protocol::Opaque;
            }
        }
        Parcel::of(whole)
    }

    fn handle_response(
        &mut self,
        whole: Bytes,
        shared: &Shared,
        detours: &dyn Detours,
    ) -> Vec<Parcel> {
        let frame = whole.slice(PREFIX_BYTES..);
        let Some(asked) = self.asked(&frame) else {
            return vec![Parcel::of(whole)];
        };
        let mut parcel =
            Parcel::of(rewrite(&frame, asked.api, asked.version, detours).unwrap_or(whole));
        let mut copies = 1;
        for effect in shared.response_effects(&self.upstream, asked.api) {
            match effect {
                ResponseEffect::Drop => copies = 0,
                ResponseEffect::Delay(by) => parcel.delay = parcel.delay.saturating_add(by),
                ResponseEffect::Duplicate => copies *= 2,
                ResponseEffect::End(fate) => {
                    copies = 0;
                    parcel.end = Some(fate);
                }
            }
        }
        if let Some(end) = parcel.end {
            let end = Some(end);
            return vec![Parcel {
                end,
                ..Parcel::default()
            }];
        }
        let copy = |_| Parcel {
            bytes: parcel.bytes.clone(),
            ..parcel
        };
        (0..copies).map(copy).collect()
    }

    /// The request that a response belongs to. Brokers answer in order: those before it wanted no
    /// answer.
    fn asked(&mut self, frame: &Bytes) -> Option<Asked> {
        let correlation_id = response_correlation_id(frame).ok()?;
        let index = self
            .pending
            .iter()
            .position(|asked| asked.correlation_id == correlation_id)?;
        self.pending.drain(..=index).next_back()
    }
}

/// The bytes do not begin with the length of a frame.
struct NotAFrame;

/// The first frame with its length prefix; none if it is incomplete.
fn take_frame(received: &mut BytesMut) -> Result<Option<Bytes>, NotAFrame> {
    let Some(prefix) = received.first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let length = usize::try_from(i32::from_be_bytes(*prefix)).map_err(|_| NotAFrame)?;
    if length > MAX_FRAME_BYTES {
        return Err(NotAFrame);
    }
    let whole = PREFIX_BYTES + length;
    Ok((received.len() >= whole).then(|| received.split_to(whole).freeze()))
}

#[cfg(test)]
mod tests {
    use wolff_codec::messages::{
        InitProducerIdRequest, InitProducerIdResponse, SaslHandshakeRequest,
    };
    use wolff_codec::{Str, encode_request, encode_response};

    use super::super::fault::ProxyFault;
    use super::*;

    struct NoDetours;

    impl Detours for NoDetours {
        fn detour(&self, _: &str, _: i32) -> Option<(Str, i32)> {
            None
        }
    }

    struct Pair {
        conversation: Conversation,
        shared: Shared,
    }

    impl Pair {
        fn new() -> Self {
            Self {
                conversation: Conversation::new("a:1"),
                shared: Shared::new(0),
            }
        }

        fn pass(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Parcel> {
            let mut received = BytesMut::from(bytes);
            let parcels =
                self.conversation
                    .handle(direction, &mut received, &self.shared, &NoDetours);
            assert!(received.is_empty(), "not whole");
            parcels
        }

        fn ask(&mut self, correlation_id: i32) {
            let request = InitProducerIdRequest::default();
            let frame = encode_request(&request, 4, CorrelationId(correlation_id), None);
            let parcels = self.pass(Direction::ToBroker, &frame.unwrap().to_bytes());
            assert_eq!(parcels.len(), 1);
        }

        /// Number of times that the response goes on.
        fn answer(&mut self, correlation_id: i32) -> usize {
            let response = InitProducerIdResponse::default();
            let frame = encode_response(&response, 4, CorrelationId(correlation_id));
            self.pass(Direction::ToClient, &frame.unwrap().to_bytes())
                .len()
        }
    }

    #[test]
    fn the_nth_response_of_an_api_is_dropped_or_doubled() {
        let mut pair = Pair::new();
        pair.shared.change_faults(|faults| {
            faults.add(
                ProxyFault::drop_response()
                    .api(ApiKey::INIT_PRODUCER_ID)
                    .skip(1),
            );
            faults.add(ProxyFault::duplicate_response().skip(2));
        });
        let copies: Vec<usize> = (0..4)
            .map(|id| {
                pair.ask(id);
                pair.answer(id)
            })
            .collect();
        assert_eq!(copies, [1, 0, 2, 1]);
    }

    #[test]
    fn a_kill_takes_the_place_of_the_response() {
        let mut pair = Pair::new();
        let kill = ProxyFault::kill_after_applying();
        pair.shared.change_faults(|faults| faults.add(kill));
        pair.ask(1);
        let response = InitProducerIdResponse::default();
        let frame = encode_response(&response, 4, CorrelationId(1)).unwrap();
        let parcels = pair.pass(Direction::ToClient, &frame.to_bytes());
        assert_eq!(parcels.len(), 1);
        assert_eq!(
            (parcels[0].bytes.len(), parcels[0].end),
            (0, Some(Fate::Reset))
        );
    }

    #[test]
    fn responses_that_nobody_asked_for_pass_untouched() {
        let mut pair = Pair::new();
        let fault = ProxyFault::drop_response().always();
        pair.shared.change_faults(|faults| faults.add(fault));
        pair.ask(1);
        assert_eq!(pair.answer(2), 1);
        assert_eq!(pair.answer(1), 0);
        assert_eq!(pair.answer(1), 1);
    }

    #[test]
    fn requests_without_an_answer_do_not_confuse_the_ones_behind_them() {
        let mut pair = Pair::new();
        pair.ask(1);
        pair.ask(2);
        assert_eq!(pair.answer(2), 1);
        assert!(pair.conversation.pending.is_empty());
    }

    #[test]
    fn encrypted_and_senseless_bytes_pass_as_they_are() {
        for hello in [
            &b"\x16\x03\x01\x00\xa5"[..],
            b"\xff\xff\xff\xff",
            b"GET / HTTP/1.1",
        ] {
            let mut pair = Pair::new();
            let parcels = pair.pass(Direction::ToBroker, hello);
            assert_eq!(parcels, [Parcel::of(Bytes::copy_from_slice(hello))]);
            assert_eq!(pair.pass(Direction::ToClient, b"x").len(), 1);
        }
    }

    #[test]
    fn bare_tokens_of_an_old_handshake_pass_as_they_are() {
        let mut pair = Pair::new();
        let request = SaslHandshakeRequest::default();
        let frame = encode_request(&request, 0, CorrelationId(1), None).unwrap();
        pair.pass(Direction::ToBroker, &frame.to_bytes());
        assert_eq!(pair.pass(Direction::ToBroker, b"\0\0\0\x05\0u\0p").len(), 1);
    }
}
