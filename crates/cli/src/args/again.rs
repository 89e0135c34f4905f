//! The flags that a command needs when it is run again on the same queue.

/// Flags with a value that say how the cluster is reached and how records are sent.
const WITH_VALUE: &[&str] = &[
    "--security-protocol",
    "--ca-file",
    "--cert-file",
    "--key-file",
    "--tls-server-name",
    "--sasl-mechanism",
    "--username",
    "--password-file",
    "--token-command",
    "--proxy",
    "--proxy-user",
    "--proxy-password-file",
    "--map-address",
    "--address-family",
    "--max-connections-per-broker",
    "--max-api-version",
    "--request-timeout",
    "--tcp-user-timeout",
    "--acks",
    "--compression",
    "--max-batch-bytes",
];

/// Those without.
const WITHOUT_VALUE: &[&str] = &[
    "--danger-accept-any-certificate",
    "--allow-unencrypted-password",
    "--no-api-versions",
];

/// Of a command line, the words that matter to whoever goes on where it stopped. They hold no
/// secret: a command line never does.
pub(crate) fn flags_to_go_on(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter().take_while(|word| word != "--");
    while let Some(word) = arguments.next() {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        if WITHOUT_VALUE.contains(&word.as_str()) {
            kept.push(word);
        } else if WITH_VALUE.contains(&name) {
            let is_whole = name.len() < word.len();
            kept.push(word);
            if !is_whole {
                kept.extend(arguments.next());
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_the_cluster_is_kept_and_nothing_else() {
        let line = "produce --brokers a:1 --security-protocol ssl --ca-file=ca.pem --accepted-log l --acks none \
                    --allow-unencrypted-password input -- --username";
        let kept = flags_to_go_on(line.split_whitespace().map(str::to_owned));
        let expected =
            "--security-protocol ssl --ca-file=ca.pem --acks none --allow-unencrypted-password";
        assert_eq!(kept.join(" "), expected);
        let line = "--proxy socks5://p:1 --map-address=a:1=b:2 --address-family ipv4 --request-timeout 5 \
                    --no-api-versions --max-api-version Produce=7";
        let kept = flags_to_go_on(line.split_whitespace().map(str::to_owned));
        assert_eq!(
            kept,
            line.split_whitespace().collect::<Vec<_>>(),
            "the way to the cluster"
        );
    }
}
