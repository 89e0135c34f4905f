//! A scripted peer that authenticates.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use wolff_client::codec::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use wolff_client::codec::{ErrorCode, RequestHeader, decode_request_header};
use wolff_client::{Client, ClientBuilder, Connection, Credentials, HostReason, Sasl};

use crate::peer::{Listener, Network, Peer};

pub(crate) fn alice() -> Credentials {
    Credentials::new("alice", "s3ntinel")
}

pub(crate) fn plain() -> Sasl {
    Sasl::plain(alice()).allow_unencrypted_secrets()
}

pub(crate) fn scene(sasl: Sasl) -> (ClientBuilder, Listener) {
    let network = Network::default();
    let listener = network.listen("kafka");
    (
        network.client("SASL_PLAINTEXT://kafka").sasl(sasl),
        listener,
    )
}

/// The broker's side of the messages of authentication.
pub(crate) trait Authenticator {
    /// Takes the choice of a mechanism.
    async fn choose(&mut self, mechanism: &str);
    /// Takes a message.
    async fn message(&mut self) -> Bytes;
    /// Takes a message and answers it, for a session of so many milliseconds.
    async fn accept(&mut self, bytes: &'static [u8], session_lifetime_ms: i64) -> Bytes;
    /// Takes a message and refuses.
    async fn refuse(&mut self, code: ErrorCode, message: &str);
    /// Takes everything, from the choice of PLAIN on.
    async fn let_in(&mut self, session_lifetime_ms: i64) -> Bytes;
}

impl Authenticator for Peer {
    async fn choose(&mut self, mechanism: &str) {
        let asked = self.expect::<SaslHandshakeRequest>().await;
        assert_eq!(&*asked.request.mechanism, mechanism);
        let answer = SaslHandshakeResponse {
            mechanisms: vec![mechanism.into()],
            ..Default::default()
        };
        self.answer(asked.id, asked.version, &answer).await;
    }

    async fn message(&mut self) -> Bytes {
        let asked = self.expect::<SaslAuthenticateRequest>().await;
        asked.request.auth_bytes
    }

    async fn accept(&mut self, bytes: &'static [u8], session_lifetime_ms: i64) -> Bytes {
        let asked = self.expect::<SaslAuthenticateRequest>().await;
        let answer = SaslAuthenticateResponse {
            auth_bytes: Bytes::from_static(bytes),
            session_lifetime_ms,
            ..Default::default()
        };
        self.answer(asked.id, asked.version, &answer).await;
        asked.request.auth_bytes
    }

    async fn refuse(&mut self, code: ErrorCode, message: &str) {
        let asked = self.expect::<SaslAuthenticateRequest>().await;
        let answer = SaslAuthenticateResponse {
            error_code: code,
            error_message: Some(message.into()),
            ..Default::default()
        };
        self.answer(asked.id, asked.version, &answer).await;
    }

    async fn let_in(&mut self, session_lifetime_ms: i64) -> Bytes {
        self.choose("PLAIN").await;
        self.accept(b"", session_lifetime_ms).await
    }
}

/// The next request, whatever it is.
pub(crate) async fn header(peer: &mut Peer) -> RequestHeader {
    let frame = peer.frame().await.unwrap();
    decode_request_header(&frame).unwrap().0
}

/// Reason that the client gives when the peer does that.
pub(crate) async fn refusal(sasl: Sasl, peer: impl AsyncFnOnce(Peer)) -> HostReason {
    let (builder, mut listener) = scene(sasl);
    let client = builder.build().unwrap();
    let broker = async { peer(listener.accept_ready().await).await };
    let (outcome, ()) = tokio::join!(client.check_connectivity(), broker);
    outcome.unwrap_err().remove(0).reason
}

/// A connection with PLAIN, whose session lasts that long.
pub(crate) async fn connected(sasl: Sasl, session_lifetime_ms: i64) -> (Client, Connection, Peer) {
    let (builder, mut listener) = scene(sasl);
    let client = builder.idle_probe(None).build().unwrap();
    let broker = async {
        let mut peer = listener.accept_ready().await;
        peer.let_in(session_lifetime_ms).await;
        peer
    };
    let (connection, peer) = tokio::join!(client.any_connection(), broker);
    (client, connection.unwrap(), peer)
}
