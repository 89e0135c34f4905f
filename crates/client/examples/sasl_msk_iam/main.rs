//! AWS_MSK_IAM: authentication at Amazon MSK with the keys of an AWS identity.
//!
//! ```sh
//! export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=eu-west-1
//! cargo run -p wolff-client --example sasl_msk_iam -- b-1.x.kafka.eu-west-1.amazonaws.com:9098
//! ```
//!
//! The keys are read from the environment; a program that runs in AWS gets temporary ones from the
//! instance's or the container's metadata service, in [`Mechanism::start`].

#![expect(clippy::expect_used, clippy::disallowed_methods, reason = "an example")]

mod signature;

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use wolff_client::{
    Address, Client, Exchange, Mechanism, Reply, Sasl, SaslFailure, SaslFuture, Secret,
    SecurityProtocol,
};

use signature::{Keys, message};

#[derive(Debug)]
struct MskIam {
    region: String,
}

impl Mechanism for MskIam {
    fn name(&self) -> &str {
        "AWS_MSK_IAM"
    }

    fn start<'a>(&'a self, broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        // Fetched anew for each connection and each renewal, outside of the connect timeout.
        Box::pin(async move {
            let variable = |name: &str| {
                let missing = |_| SaslFailure::Credentials(format!("{name} is not set"));
                std::env::var(name).map_err(missing)
            };
            let keys = Keys {
                access_key_id: variable("AWS_ACCESS_KEY_ID")?,
                secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?.into(),
                session_token: std::env::var("AWS_SESSION_TOKEN").ok(),
            };
            let message = message(&keys, &self.region, broker.host(), &now());
            Ok(Box::new(OneMessage(Some(message))) as Box<dyn Exchange>)
        })
    }
}

/// One signed message, and the broker's receipt.
struct OneMessage(Option<Secret>);

impl Exchange for OneMessage {
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        let reply = match (self.0.take(), challenge) {
            (Some(message), None) => Ok(Reply::Send(message)),
            (None, Some(_receipt)) => Ok(Reply::Done),
            _ => Err(SaslFailure::Broker("unexpected message".into())),
        };
        Box::pin(std::future::ready(reply))
    }
}

/// The time in UTC, as signatures have it.
fn now() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    written(elapsed.map_or(0, |elapsed| elapsed.as_secs()))
}

/// A time in seconds since 1970.
fn written(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = std::env::args().nth(1).ok_or("which broker? host:port")?;
    let region = std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".into());
    let client = Client::builder([broker])
        .security_protocol(SecurityProtocol::SaslSsl)
        .sasl(Sasl::mechanism(MskIam { region }))
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
    use super::*;

    #[test]
    fn a_time_is_written_as_signatures_have_it() {
        assert_eq!(written(0), "19700101T000000Z");
        assert_eq!(written(951_782_399), "20000228T235959Z");
        assert_eq!(written(951_782_400), "20000229T000000Z");
        assert_eq!(written(1_706_745_599), "20240131T235959Z");
    }

    #[test]
    fn a_message_is_signed_for_its_broker() {
        let keys = Keys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: Some("of/an hour".into()),
        };
        let of_host = |host: &str| {
            let message = message(&keys, "eu-west-1", host, "20240131T235959Z");
            String::from_utf8(message.expose().to_vec()).unwrap()
        };
        let message = of_host("b-1.example.com");
        for part in [
            r#"{"version":"2020_10_22","host":"b-1.example.com","user-agent":"wolff","#,
            r#""action":"kafka-cluster:Connect""#,
            r#""x-amz-credential":"AKIDEXAMPLE/20240131/eu-west-1/kafka-cluster/aws4_request""#,
            r#""x-amz-security-token":"of/an hour""#,
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        let signature = |message: &str| message.split_once("x-amz-signature").unwrap().1.to_owned();
        assert_ne!(signature(&message), signature(&of_host("b-2.example.com")));
        assert!(!message.contains("wJalr"), "{message}");
    }
}
