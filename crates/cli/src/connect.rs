//! The first look at the cluster: is there anybody?

use std::pin::pin;
use std::time::Duration;

use wolff::Client;
use wolff::client::{
    ConnectStage, HostError, HostReason, HostState, NotKafka, SaslFailure, TlsFailure,
};

use crate::exit::Failure;

/// Time that the first look may take.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Time that the first look may take while credentials are fetched.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// A broker that is going down closes connections at the first request, as one that wants to be
/// authenticated to does: it is asked again for as long as a first look may take.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(600);

/// Outcome of the first look.
pub(crate) enum Reached {
    /// Some broker answers.
    Yes,
    /// None does, or not yet; why.
    NotYet(String),
}

/// Choice for the records of a command that no broker lets in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Patience {
    /// They wait on disk: what can change by itself or by an operator (a password, a certificate, a
    /// proxy in between) is waited for. Only what contradicts this side's own settings is an error.
    Queues,
    /// There is nothing to wait for: a host that answers, but is certainly no Kafka broker or does
    /// not let this side in, is an error.
    Asks,
}

/// Checks that some broker responds.
pub(crate) async fn look(client: &Client, patience: Patience) -> Result<Reached, Failure> {
    let is_hopeless = |hosts: &[HostError]| {
        !hosts.is_empty() && hosts.iter().all(|host| is_final(&host.reason, patience))
    };
    match first_look(client).await {
        Ok(Ok(())) => Ok(Reached::Yes),
        Ok(Err(hosts)) if is_hopeless(&hosts) => Err(Failure::usage(list(&hosts)).advice(
            "check --brokers, --security-protocol and what goes with it; `wolff metadata --check` tries each host",
        )),
        Ok(Err(hosts)) => Ok(Reached::NotYet(list(&hosts))),
        Err(after) => Ok(Reached::NotYet(format!(
            "no answer within {after:?} ({})",
            tried(client)
        ))),
    }
}

/// The first look, which takes its time where credentials are fetched meanwhile: the cluster is not
/// to blame for those.
async fn first_look(client: &Client) -> Result<Result<(), Vec<HostError>>, Duration> {
    let mut check = pin!(check(client));
    let mut waited = Duration::ZERO;
    while waited.is_zero() || (client.credentials_pending() > 0 && waited < LONGEST_LOOK) {
        if let Ok(outcome) = tokio::time::timeout(FIRST_LOOK, check.as_mut()).await {
            return Ok(outcome);
        }
        waited += FIRST_LOOK;
    }
    Err(waited)
}

/// The hosts that were tried, each with what is known of it.
fn tried(client: &Client) -> String {
    let state = |state: &HostState| {
        let host = &state.address;
        match (&state.last_failure, state.trying_for) {
            (_, Some(after)) => {
                let after = Duration::from_secs(after.as_secs());
                format!("{host}: {}", HostReason::StillTrying { after })
            }
            (Some(reason), None) => format!("{host}: {reason}"),
            (None, None) => match &state.last_request_failure {
                Some(error) => format!("{host}: {error}"),
                None => format!("{host}: connected, and no response to a request yet"),
            },
        }
    };
    let states: Vec<_> = client.host_states().iter().map(state).collect();
    states.join("; ")
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
        .advice(advice(client))),
    }
}

/// Advice, by what the hosts that were tried have in common.
fn advice(client: &Client) -> &'static str {
    let states = client.host_states();
    let reasons: Vec<_> = states
        .iter()
        .filter_map(|state| state.last_failure.as_ref())
        .collect();
    advice_about(&reasons, client.credentials_pending() > 0)
}

/// Advice about hosts that failed like this, while credentials are perhaps still waited for: then
/// one of them was reached, and its address is right.
fn advice_about(reasons: &[&HostReason], awaits_credentials: bool) -> &'static str {
    let all = |is: fn(&HostReason) -> bool| {
        !reasons.is_empty() && reasons.iter().all(|reason| is(reason))
    };
    let has_no_credentials = |reason: &HostReason| {
        let stage = ConnectStage::Credentials;
        matches!(reason, HostReason::TimedOut { stage: waited_for, .. } if *waited_for == stage)
    };
    if awaits_credentials || all(has_no_credentials) {
        "the command of --token-command does not end: run it by hand, and see what it waits for"
    } else if all(|reason| matches!(reason, HostReason::NoDescriptors(_))) {
        "raise the limit of open files (ulimit -n)"
    } else if all(|reason| matches!(reason, HostReason::Tls(_))) {
        "check --ca-file, --cert-file and --tls-server-name"
    } else if all(|reason| matches!(reason, HostReason::Sasl(_))) {
        "check --sasl-mechanism and the user's name and password, or --token-command"
    } else {
        "check the address in --brokers, and that the cluster is up"
    }
}

fn is_final(reason: &HostReason, patience: Patience) -> bool {
    match reason {
        // What this side wants is not what the listener is for.
        HostReason::NotKafka(NotKafka::Tls)
        | HostReason::Tls(TlsFailure::NotTls)
        | HostReason::Sasl(SaslFailure::NotEnabled { .. } | SaslFailure::NotExpected) => true,
        HostReason::NotKafka(_)
        | HostReason::Tls(TlsFailure::Certificate(_))
        | HostReason::Sasl(SaslFailure::Refused { .. } | SaslFailure::Credentials(_)) => {
            patience == Patience::Asks
        }
        _ => false,
    }
}

fn list(hosts: &[HostError]) -> String {
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    hosts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_command_that_hangs_is_not_blamed_on_the_address() {
        let after = Duration::from_secs(10);
        let timed_out = |stage| HostReason::TimedOut { stage, after };
        let credentials = timed_out(ConnectStage::Credentials);
        let dialling = timed_out(ConnectStage::Dialling);
        for (reasons, awaits_credentials, word) in [
            (vec![&credentials], false, "--token-command"),
            (vec![&credentials, &credentials], false, "--token-command"),
            (vec![], true, "--token-command"),
            (vec![&dialling], true, "--token-command"),
            (vec![&credentials, &dialling], false, "--brokers"),
            (vec![&dialling], false, "--brokers"),
            (vec![], false, "--brokers"),
        ] {
            let advice = advice_about(&reasons, awaits_credentials);
            assert!(advice.contains(word), "{reasons:?}: {advice}");
        }
    }
}
