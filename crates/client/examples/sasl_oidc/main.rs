//! OAUTHBEARER with tokens of an OpenID Connect provider, by client credentials (RFC 6749, 4.4).
//!
//! ```sh
//! export OIDC_TOKEN_HOST=idp.example.com OIDC_TOKEN_PATH=/oauth2/token
//! export OIDC_CLIENT_ID=… OIDC_CLIENT_SECRET=…
//! cargo run -p wolff-client --example sasl_oidc -- broker.example.com:9093
//! ```
//!
//! The crate has no HTTP client; this one speaks just enough HTTP over TLS for a token. A token is
//! kept until shortly before it ends, since connections are often opened by the hundred.

#![expect(
    clippy::disallowed_methods,
    reason = "an example, which reaches the provider over TCP"
)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use wolff_client::rustls::pki_types::ServerName;
use wolff_client::rustls::{ClientConfig, RootCertStore};
use wolff_client::{
    Client, OAuthToken, Sasl, SaslFailure, SaslFuture, Secret, SecurityProtocol, TokenProvider,
};

/// No answer of a token endpoint is larger.
const LARGEST_ANSWER_BYTES: u64 = 256 * 1024;

struct Provider {
    host: String,
    path: String,
    client_id: String,
    client_secret: Secret,
    tls: Arc<ClientConfig>,
    last: Mutex<Option<(Instant, Secret)>>,
}

impl TokenProvider for Provider {
    fn token(&self) -> SaslFuture<'_, OAuthToken> {
        Box::pin(async {
            // Whoever comes meanwhile waits for the same token.
            let mut last = self.last.lock().await;
            if let Some((until, token)) = &*last
                && Instant::now() < *until
            {
                return Ok(OAuthToken::new(token.clone()));
            }
            let (token, lifetime) = self.fetch().await.map_err(|error| {
                SaslFailure::Credentials(format!("token from {}: {error}", self.host))
            })?;
            *last = Some((Instant::now() + lifetime / 10 * 8, token.clone()));
            Ok(OAuthToken::new(token))
        })
    }
}

impl Provider {
    async fn fetch(&self) -> Result<(Secret, Duration), Box<dyn Error + Send + Sync>> {
        let stream = TcpStream::connect((self.host.as_str(), 443)).await?;
        let name = ServerName::try_from(self.host.clone())?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        self.request(connector.connect(name, stream).await?).await
    }

    /// Requests a token on a connection that is there.
    async fn request(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> Result<(Secret, Duration), Box<dyn Error + Send + Sync>> {
        let pair = [self.client_id.as_bytes(), b":", self.client_secret.expose()].concat();
        let body = "grant_type=client_credentials";
        let request = format!(
            "POST {} HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.path,
            self.host,
            BASE64.encode(pair),
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        let mut limited = stream.take(LARGEST_ANSWER_BYTES);
        limited.read_to_string(&mut answer).await?;
        let status = answer.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!("the provider answers {status:?}").into());
        }
        let token = field(&answer, "access_token").ok_or("no access_token in the answer")?;
        let lifetime = field(&answer, "expires_in").and_then(|seconds| seconds.parse().ok());
        let lifetime = Duration::from_secs(lifetime.unwrap_or(60));
        Ok((token.into(), lifetime))
    }
}

/// A field of a flat JSON object: enough for what providers answer, whose tokens need no escapes.
fn field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let quoted = format!("\"{name}\"");
    let after = &json[json.find(&quoted)? + quoted.len()..];
    let value = after.trim_start().strip_prefix(':')?.trim_start();
    match value.strip_prefix('"') {
        Some(text) => text.split('"').next(),
        None => value.split([',', '}']).next().map(str::trim),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = std::env::args().nth(1).ok_or("which broker? host:port")?;
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let provider = Provider {
        host: variable("OIDC_TOKEN_HOST")?,
        path: variable("OIDC_TOKEN_PATH")?,
        client_id: variable("OIDC_CLIENT_ID")?,
        client_secret: variable("OIDC_CLIENT_SECRET")?.into(),
        tls: Arc::new(tls),
        last: Mutex::default(),
    };
    let client = Client::builder([broker])
        .security_protocol(SecurityProtocol::SaslSsl)
        .sasl(Sasl::oauth_bearer(provider))
        .build()?;
    for (host, outcome) in client.probe_hosts().await {
        match outcome {
            Ok(()) => println!("{host}: fine"),
            Err(reason) => println!("{host}: {reason}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Sends a request to an endpoint that gives this response. Returns the outcome, and what the
    /// endpoint has read.
    async fn exchange(
        response: &str,
    ) -> (
        Result<(Secret, Duration), Box<dyn Error + Send + Sync>>,
        String,
    ) {
        let tls = ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let provider = Provider {
            host: "idp.example.com".into(),
            path: "/oauth2/token".into(),
            client_id: "wolff".into(),
            client_secret: "open sesame".into(),
            tls: Arc::new(tls),
            last: Mutex::default(),
        };
        let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = endpoint.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = endpoint.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"grant_type=client_credentials") {
                assert!(stream.read_buf(&mut read).await.unwrap() > 0, "cut short");
            }
            stream.write_all(response.as_bytes()).await.unwrap();
            String::from_utf8(read).unwrap()
        };
        let ask = async {
            let stream = TcpStream::connect(address).await.unwrap();
            provider.request(stream).await
        };
        tokio::join!(ask, serve)
    }

    #[tokio::test]
    async fn a_token_comes_for_the_credentials_of_the_client() {
        let (outcome, request) = exchange(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\
             {\"token_type\":\"Bearer\",\"expires_in\": 300, \"access_token\": \"a.b.c\"}",
        )
        .await;
        let (token, lifetime) = outcome.unwrap();
        assert_eq!(token.expose(), b"a.b.c");
        assert_eq!(lifetime, Duration::from_secs(300));
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "grant_type=client_credentials");
        assert_eq!(
            head.lines().collect::<Vec<_>>(),
            [
                "POST /oauth2/token HTTP/1.0",
                "Host: idp.example.com",
                "Authorization: Basic d29sZmY6b3BlbiBzZXNhbWU=",
                "Content-Type: application/x-www-form-urlencoded",
                "Content-Length: 29",
            ]
        );
    }

    #[tokio::test]
    async fn a_refusal_names_the_status_and_no_secret() {
        let (outcome, _) = exchange("HTTP/1.1 401 Unauthorized\r\n\r\n{}").await;
        let reason = outcome.unwrap_err().to_string();
        assert_eq!(reason, "the provider answers \"HTTP/1.1 401 Unauthorized\"");
        let (outcome, _) = exchange("HTTP/1.1 200 OK\r\n\r\n{\"expires_in\":1}").await;
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "no access_token in the answer"
        );
    }
}
