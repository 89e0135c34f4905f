//! SaslAuthenticate: a message of the mechanism.

use bytes::Bytes;
use wolff_codec::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use wolff_codec::{ErrorCode, Str};

use super::authentication::authenticate;
use super::serve::{Call, Serve, Served};

impl Serve for SaslAuthenticateRequest {
    async fn serve(self, call: &Call<'_>) -> Served<SaslAuthenticateResponse> {
        let Some(session) = call.session else {
            return Served::Answer(SaslAuthenticateResponse {
                error_code: ErrorCode::ILLEGAL_SASL_STATE,
                ..Default::default()
            });
        };
        if let Some(error_code) = call.script.error() {
            session.lock().end();
            return Served::Answer(SaslAuthenticateResponse {
                error_code,
                ..Default::default()
            });
        }
        let lie = call.script.scram_lie();
        let outcome = authenticate(call.shared, call.broker, session, &self.auth_bytes, lie);
        Served::Answer(match outcome {
            Ok(answer) => SaslAuthenticateResponse {
                auth_bytes: Bytes::from(answer.message),
                session_lifetime_ms: answer
                    .success
                    .and_then(|success| success.lifetime)
                    .map_or(0, |lifetime| {
                        i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)
                    }),
                ..Default::default()
            },
            Err(refusal) => SaslAuthenticateResponse {
                error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
                error_message: Some(Str::from(refusal.to_string())),
                ..Default::default()
            },
        })
    }
}
