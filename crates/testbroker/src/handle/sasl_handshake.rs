//! SaslHandshake: the client names a mechanism.

use wolff_codec::messages::{SaslHandshakeRequest, SaslHandshakeResponse};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};

/// The first version after which tokens come in SaslAuthenticate requests (KIP-152). Before they
/// came bare.
const FIRST_VERSION_WITH_AUTHENTICATE: i16 = 1;

impl Serve for SaslHandshakeRequest {
    async fn serve(self, call: &Call<'_>) -> Served<SaslHandshakeResponse> {
        let (Some(session), Some(sasl)) = (call.session, call.shared.sasl()) else {
            return Served::Answer(SaslHandshakeResponse {
                error_code: ErrorCode::ILLEGAL_SASL_STATE,
                ..Default::default()
            });
        };
        let mechanism = sasl.mechanism(&self.mechanism);
        let error_code = match (call.script.error(), mechanism) {
            (Some(code), _) => code,
            (None, None) => ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            (None, Some(mechanism)) => {
                let is_bare = call.version < FIRST_VERSION_WITH_AUTHENTICATE;
                session.lock().begin(mechanism, is_bare);
                ErrorCode::NONE
            }
        };
        if !error_code.is_ok() {
            session.lock().end();
            call.shared
                .count(call.broker, |stats| stats.authentication_failures += 1);
        }
        let names = sasl.mechanisms().map(|mechanism| mechanism.name());
        Served::Answer(SaslHandshakeResponse {
            error_code,
            mechanisms: names.map(Str::from_static).collect(),
        })
    }
}
