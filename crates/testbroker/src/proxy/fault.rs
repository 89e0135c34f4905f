//! Faults that a proxy makes in single connections and single responses.

use std::fmt;
use std::time::Duration;

use wolff_codec::ApiKey;

use super::conditions::Direction;
use crate::fault_book::{FaultBook, FaultNumber, Turns};

/// Something that a [`Proxy`](crate::Proxy) does to the next connection, or to the next response,
/// that fits: once, unless told otherwise.
///
/// Positions count the bytes of one connection that were passed on in one direction. Faults of
/// responses need to see the protocol: they do nothing on a connection that speaks TLS.
///
/// ```
/// use wolff_codec::ApiKey;
/// use wolff_testbroker::{Direction, ProxyFault};
///
/// // The second connection from now on is reset in the middle of a request.
/// let reset = ProxyFault::reset_after(Direction::ToBroker, 1000).skip(1);
/// // The third answer to Produce is lost with its connection, although the batch was appended.
/// let lost = ProxyFault::kill_after_applying().api(ApiKey::PRODUCE).skip(2);
/// ```
#[derive(Clone, Debug)]
pub struct ProxyFault {
    effect: Effect,
    api: Option<ApiKey>,
    upstream: Option<String>,
    turns: Turns,
}

/// Effect of a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// To a connection, when so many bytes have gone that way.
    Connection(Direction, Incident),
    /// To a response.
    Response(ResponseEffect),
}

/// Something that happens at a position of a direction's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Incident {
    /// Number of bytes that have passed before.
    pub(super) position: u64,
    pub(super) kind: IncidentKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IncidentKind {
    /// The connection ends.
    End(Fate),
    /// A bit of the next byte is turned, 0 being the lowest.
    FlipBit(u8),
}

/// End of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// Both sides are closed in an orderly way.
    Close,
    /// Both sides are reset.
    Reset,
    /// The broker's side is closed; the client's stays open and is silent.
    HalfOpen,
    /// Both sides stay open, and nothing comes through any more.
    BlackHole,
}

/// Effect on one response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ResponseEffect {
    Drop,
    Delay(Duration),
    Duplicate,
    End(Fate),
}

impl ProxyFault {
    fn new(effect: Effect) -> Self {
        Self {
            effect,
            api: None,
            upstream: None,
            turns: Turns::default(),
        }
    }

    fn end_after(direction: Direction, bytes: u64, fate: Fate) -> Self {
        let incident = Incident {
            position: bytes,
            kind: IncidentKind::End(fate),
        };
        Self::new(Effect::Connection(direction, incident))
    }

    /// The connection is closed on both sides once so many bytes have passed in that direction.
    #[must_use]
    pub fn close_after(direction: Direction, bytes: u64) -> Self {
        Self::end_after(direction, bytes, Fate::Close)
    }

    /// The connection is reset on both sides (TCP RST) once so many bytes have passed in that
    /// direction.
    #[must_use]
    pub fn reset_after(direction: Direction, bytes: u64) -> Self {
        Self::end_after(direction, bytes, Fate::Reset)
    }

    /// Once so many bytes have passed in that direction the broker's side is closed, and the client
    /// is not told: its connection stays open, takes what is sent, and is silent. What a crashed
    /// host or a forgetful firewall looks like.
    #[must_use]
    pub fn half_open_after(direction: Direction, bytes: u64) -> Self {
        Self::end_after(direction, bytes, Fate::HalfOpen)
    }

    /// Once so many bytes have passed in that direction nothing passes any more, in either
    /// direction; both sides stay open.
    #[must_use]
    pub fn black_hole_after(direction: Direction, bytes: u64) -> Self {
        Self::end_after(direction, bytes, Fate::BlackHole)
    }

    /// The byte at that position (0 is the first) arrives with one bit turned; bit 0 is the lowest,
    /// 7 the highest.
    #[must_use]
    pub fn flip_bit(direction: Direction, position: u64, bit: u8) -> Self {
        let incident = Incident {
            position,
            kind: IncidentKind::FlipBit(bit),
        };
        Self::new(Effect::Connection(direction, incident))
    }

    /// The response never arrives; the connection stays as it is.
    #[must_use]
    pub fn drop_response() -> Self {
        Self::new(Effect::Response(ResponseEffect::Drop))
    }

    /// The response arrives that much later, and with it all that comes after it.
    #[must_use]
    pub fn delay_response(by: Duration) -> Self {
        Self::new(Effect::Response(ResponseEffect::Delay(by)))
    }

    /// The response arrives twice.
    #[must_use]
    pub fn duplicate_response() -> Self {
        Self::new(Effect::Response(ResponseEffect::Duplicate))
    }

    /// The connection is reset in place of the response: the request was applied, and the client
    /// cannot know.
    #[must_use]
    pub fn kill_after_applying() -> Self {
        Self::new(Effect::Response(ResponseEffect::End(Fate::Reset)))
    }

    /// Only responses of this API. Faults of connections take no notice.
    #[must_use]
    pub fn api(self, api: ApiKey) -> Self {
        let api = Some(api);
        Self { api, ..self }
    }

    /// Only connections to this broker: `host:port` as the cluster itself says it.
    #[must_use]
    pub fn upstream(self, address: impl Into<String>) -> Self {
        let upstream = Some(address.into());
        Self { upstream, ..self }
    }

    /// Not the first `count` that fit, but the ones after them.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.turns.skip(count);
        self
    }

    /// So many of them. Default: 1.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.turns.times(Some(count));
        self
    }

    /// Every one that fits, until the fault is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.turns.times(None);
        self
    }

    fn fits_upstream(&self, upstream: &str) -> bool {
        self.upstream
            .as_deref()
            .is_none_or(|wanted| wanted == upstream)
    }
}

/// Names a fault that is in place at a proxy.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProxyFaultId(u64);

impl fmt::Display for ProxyFaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FaultNumber for ProxyFaultId {
    fn numbered(number: u64) -> Self {
        Self(number)
    }
}

impl FaultBook<ProxyFaultId, ProxyFault> {
    /// Draws the faults that a new connection will meet.
    pub(super) fn draw_for_connection(
        &mut self,
        upstream: &str,
    ) -> Vec<(ProxyFaultId, Direction, Incident)> {
        let mut drawn = Vec::new();
        for (id, fault) in self.iter_mut() {
            if let Effect::Connection(direction, incident) = fault.effect
                && fault.fits_upstream(upstream)
                && fault.turns.strike()
            {
                drawn.push((id, direction, incident));
            }
        }
        drawn
    }

    /// Draws the faults that a response meets.
    pub(super) fn draw_for_response(
        &mut self,
        upstream: &str,
        api: ApiKey,
    ) -> Vec<(ProxyFaultId, ResponseEffect)> {
        let mut drawn = Vec::new();
        for (id, fault) in self.iter_mut() {
            if let Effect::Response(effect) = fault.effect
                && fault.api.is_none_or(|wanted| wanted == api)
                && fault.fits_upstream(upstream)
                && fault.turns.strike()
            {
                drawn.push((id, effect));
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_the_nth_that_fits_as_often_as_they_are_told() {
        let mut book = FaultBook::<ProxyFaultId, ProxyFault>::default();
        let id = book.add(
            ProxyFault::drop_response()
                .api(ApiKey::PRODUCE)
                .skip(1)
                .times(2),
        );
        let mut hits = |api| book.draw_for_response("a:1", api).len();
        assert_eq!([hits(ApiKey::METADATA), hits(ApiKey::METADATA)], [0, 0]);
        let produces: Vec<usize> = (0..5).map(|_| hits(ApiKey::PRODUCE)).collect();
        assert_eq!(produces, [0, 1, 1, 0, 0]);
        assert!(book.remove(id));
        assert!(!book.remove(id));
    }

    #[test]
    fn connections_and_responses_do_not_use_up_each_others_faults() {
        let mut book = FaultBook::<ProxyFaultId, ProxyFault>::default();
        book.add(ProxyFault::drop_response());
        book.add(ProxyFault::reset_after(Direction::ToBroker, 0).upstream("b:2"));
        assert!(book.draw_for_connection("a:1").is_empty());
        assert_eq!(book.draw_for_connection("b:2").len(), 1);
        assert_eq!(book.draw_for_response("b:2", ApiKey::FETCH).len(), 1);
    }
}
