//! Choosing ports for a cluster.

use crate::failure::Failure;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, TcpListener};

/// Below this, ports belong to well-known services.
const LOWEST: u16 = 15_000;

/// Where Linux starts to hand out ports for outgoing connections, unless the machine says
/// otherwise.
const USUAL_EPHEMERAL_START: u16 = 32_768;

/// A run of `count` ports that nothing listens on: from `first` if given, otherwise anywhere.
///
/// The free choice keeps below the range for outgoing connections. A port from that range could be
/// taken by any client while a node is down, and a client that dials a dead port of that range in a
/// loop can end up connected to itself.
pub(crate) fn choose(count: usize, first: Option<u16>) -> Result<Vec<u16>, Failure> {
    if let Some(first) = first {
        let ports: Vec<u16> = (first..=u16::MAX).take(count).collect();
        return match ports.iter().find(|port| !is_free(**port)) {
            Some(taken) => Err(Failure::new(format!("port {taken} of 127.0.0.1 is taken"))
                .advise("Choose another --port, or leave it out: then free ports are found.")),
            None => Ok(ports),
        };
    }
    let span = ephemeral_start().saturating_sub(LOWEST).max(1_000);
    let offset = u16::try_from(RandomState::new().hash_one(std::process::id()) % u64::from(span))
        .unwrap_or(0);
    let ports: Vec<u16> = (0..span)
        .map(|step| LOWEST.saturating_add(offset.wrapping_add(step) % span))
        .filter(|port| is_free(*port))
        .take(count)
        .collect();
    if ports.len() == count {
        Ok(ports)
    } else {
        Err(
            Failure::new(format!("found no {count} free ports from {LOWEST} up"))
                .advise("Choose some by --port."),
        )
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn ephemeral_start() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    first.unwrap_or(USUAL_EPHEMERAL_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_ports_are_distinct_and_can_be_bound() {
        let mut ports = choose(15, None).unwrap();
        let listeners: Vec<_> = ports
            .iter()
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)))
            .collect();
        assert!(listeners.iter().all(Result::is_ok));
        ports.dedup();
        assert_eq!(ports.len(), 15);
    }

    #[test]
    fn a_taken_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let failure = choose(1, Some(port)).unwrap_err();
        assert!(
            failure
                .to_string()
                .contains(&format!("port {port} of 127.0.0.1 is taken"))
        );
    }
}
