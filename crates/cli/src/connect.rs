//! The first look at the cluster: is there anybody?

use std::time::Duration;

use wolff::Client;
use wolff::client::{HostError, HostReason, NotKafka, SaslFailure, TlsFailure};

use crate::exit::Failure;

/// How long the first look may take.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// A broker that is going down closes connections at the first question, as one that wants to be authenticated to does: only
/// one that does it again and again is taken at its word.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(600);

/// What the first look has shown.
pub(crate) enum Reached {
    /// Some broker answers.
    Yes,
    /// None does, or not yet; why.
    NotYet(String),
}

/// What becomes of the records of a command that nobody lets in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Patience {
    /// They wait on disk: what can change by itself or by an operator (a password, a certificate, a proxy in between) is
    /// waited for. Only what contradicts this side's own settings is an error.
    Queues,
    /// There is nothing to wait for: a host that answers, but is certainly no Kafka broker or does not let this side in, is
    /// an error.
    Asks,
}

/// Whether some broker answers.
pub(crate) async fn look(client: &Client, patience: Patience) -> Result<Reached, Failure> {
    let is_hopeless = |hosts: &[HostError]| {
        !hosts.is_empty() && hosts.iter().all(|host| is_final(&host.reason, patience))
    };
    match tokio::time::timeout(FIRST_LOOK, check(client)).await {
        Ok(Ok(())) => Ok(Reached::Yes),
        Ok(Err(hosts)) if is_hopeless(&hosts) => Err(Failure::usage(list(&hosts)).advice(
            "check --brokers, --security-protocol and what goes with it; `wolff metadata --check` tries each host",
        )),
        Ok(Err(hosts)) => Ok(Reached::NotYet(list(&hosts))),
        Err(_) => {
            let hosts: Vec<_> = client.bootstrap().iter().map(ToString::to_string).collect();
            let reason = format!("no answer from {} within {FIRST_LOOK:?}", hosts.join(", "));
            Ok(Reached::NotYet(reason))
        }
    }
}

async fn check(client: &Client) -> Result<(), Vec<HostError>> {
    for _ in 1..LOOKS {
        match client.check_connectivity().await {
            Err(hosts)
                if hosts
                    .iter()
                    .any(|host| matches!(host.reason, HostReason::ClosedAtFirstQuestion)) => {}
            outcome => return outcome,
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    client.check_connectivity().await
}

/// For commands that have nothing to do without a broker.
pub(crate) async fn require(client: &Client) -> Result<(), Failure> {
    match look(client, Patience::Asks).await? {
        Reached::Yes => Ok(()),
        Reached::NotYet(reason) => Err(Failure::failed(format!(
            "no broker can be reached: {reason}"
        ))
        .advice("check the address in --brokers, and that the cluster is up")),
    }
}

fn is_final(reason: &HostReason, patience: Patience) -> bool {
    match reason {
        // What this side wants is not what the listener is for.
        HostReason::NotKafka(NotKafka::Tls)
        | HostReason::Tls(TlsFailure::NotTls)
        | HostReason::Sasl(SaslFailure::NotEnabled { .. } | SaslFailure::NotExpected) => true,
        HostReason::NotKafka(_)
        | HostReason::ClosedAtFirstQuestion
        | HostReason::Tls(TlsFailure::Certificate(_))
        | HostReason::Sasl(SaslFailure::Refused { .. }) => patience == Patience::Asks,
        _ => false,
    }
}

fn list(hosts: &[HostError]) -> String {
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    hosts.join("; ")
}
