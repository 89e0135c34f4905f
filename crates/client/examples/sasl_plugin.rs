//! A SASL mechanism of one's own, for what this crate does not have: GSSAPI, AWS_MSK_IAM and the
//! like.
//!
//! ```sh
//! cargo run -p wolff-client --example sasl_plugin -- broker.example.com:9098
//! ```
//!
//! This one has the shape of AWS_MSK_IAM: one message that the client signs for the very host it
//! talks to, and one answer. Where `sign` has its line, a real one would call the vendor's library.

use std::error::Error;

use wolff_client::{
    Address, Client, Exchange, Mechanism, Reply, Sasl, SaslFailure, SaslFuture, Secret,
    SecurityProtocol,
};

/// Everything needed for an exchange with any broker.
#[derive(Debug)]
struct Signed {
    access_key: String,
    secret_key: Secret,
}

impl Mechanism for Signed {
    fn name(&self) -> &str {
        "EXAMPLE_SIGNED"
    }

    /// A signature is good for one host and a few minutes; still, it is better not seen by
    /// everybody.
    fn reveals_secret(&self) -> bool {
        true
    }

    fn start<'a>(&'a self, broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        // Here is the place for what takes its time, such as asking a service for credentials.
        Box::pin(async move {
            let message = sign(&self.access_key, &self.secret_key, broker)?;
            let exchange = OneMessage {
                message: Some(message),
            };
            Ok(Box::new(exchange) as Box<dyn Exchange>)
        })
    }
}

struct OneMessage {
    message: Option<Secret>,
}

impl Exchange for OneMessage {
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        let reply = match (self.message.take(), challenge) {
            (Some(message), None) => Ok(Reply::Send(message)),
            (None, Some(_receipt)) => Ok(Reply::Done),
            _ => Err(SaslFailure::Broker("it speaks when it should not".into())),
        };
        Box::pin(std::future::ready(reply))
    }
}

fn sign(access_key: &str, secret_key: &Secret, broker: &Address) -> Result<Secret, SaslFailure> {
    if secret_key.expose().is_empty() {
        let what = "the environment variable EXAMPLE_SECRET_KEY is empty or not set";
        return Err(SaslFailure::Credentials(what.into()));
    }
    // The vendor's signature over user, host and time would come here.
    let host = broker.host();
    Ok(format!("{{\"host\":\"{host}\",\"user\":\"{access_key}\"}}").into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = std::env::args().nth(1).ok_or("which broker? host:port")?;
    let mechanism = Signed {
        access_key: "example".into(),
        secret_key: std::env::var("EXAMPLE_SECRET_KEY")
            .unwrap_or_default()
            .into(),
    };
    let client = Client::builder([broker])
        .security_protocol(SecurityProtocol::SaslSsl)
        .sasl(Sasl::mechanism(mechanism))
        .build()?;
    for (host, outcome) in client.probe_hosts().await {
        match outcome {
            Ok(()) => println!("{host}: fine"),
            Err(reason) => println!("{host}: {reason}"),
        }
    }
    Ok(())
}
