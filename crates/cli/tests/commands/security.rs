//! The flags that secure a connection: what they refuse, and every listener of a real Kafka reached
//! by them.

use std::fs;
use std::io::Write as _;

use wolff::client::codec::ApiKey;
use wolff_testbroker::{
    CertificateAuthority, Cluster, Fault, Sasl as Users, SaslMechanism, TlsListener,
};

use crate::support::{
    Running, SECRETS_MARK, TOPIC, cluster, directory, run, tell_skipped, wait_for, wolff,
};

/// Password that no output may show.
const SENTINEL: &str = "s3ntinel-password-7f3a";

#[test]
fn what_does_not_go_together_is_wrong_usage_and_names_the_flag() {
    let metadata = ["metadata", "--brokers", "127.0.0.1:1"];
    let scram = ["--sasl-mechanism", "scram-sha-256"];
    let oauth = ["--sasl-mechanism", "OAUTHBEARER"];
    let cases: [(&[&str], &str); 13] = [
        (&["--security-protocol", "tls"], "SASL_SSL"),
        (
            &["--security-protocol", "ssl", "--cert-file", "x"],
            "--key-file",
        ),
        (
            &["--security-protocol", "ssl", "--ca-file", "/no/file"],
            "/no/file",
        ),
        (
            &["--security-protocol", "plaintext", "--ca-file", "/no/file"],
            "PLAINTEXT",
        ),
        (&["--security-protocol", "sasl_ssl"], "no SASL mechanism"),
        (&["--sasl-mechanism", "GSSAPI"], "SCRAM-SHA-512"),
        (&["--username", "alice"], "--sasl-mechanism"),
        (&[scram[0], scram[1]], "--username"),
        (&[scram[0], scram[1], "--username", "a"], "WOLFF_PASSWORD"),
        (&[scram[0], scram[1], "--token-command", "x"], "OAUTHBEARER"),
        (&[oauth[0], oauth[1]], "--token-command"),
        (&[oauth[0], oauth[1], "--username", "a"], "--username"),
        (
            &["--ca-file", "x", "--danger-accept-any-certificate"],
            "--ca-file",
        ),
    ];
    for (flags, word) in cases {
        let mut command = wolff(metadata.iter().chain(flags));
        command.env_remove("WOLFF_PASSWORD");
        let ended = run(&mut command, "").code(1);
        assert!(ended.stderr.contains(word), "{flags:?}: {}", ended.stderr);
    }
}

#[test]
fn a_password_is_not_sent_unencrypted_unless_that_is_allowed() {
    let mut command = wolff(["metadata", "--brokers", "127.0.0.1:1"]);
    command
        .args(["--security-protocol", "SASL_PLAINTEXT"])
        .args(["--sasl-mechanism", "plain", "--username", "alice"])
        .env("WOLFF_PASSWORD", SENTINEL);
    let ended = run(&mut command, "").code(1);
    for words in [
        "PLAIN would send its secret",
        "--allow-unencrypted-password",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let ended = run(command.args(["--allow-unencrypted-password", "-vvv"]), "").code(2);
    assert!(ended.stderr.contains("refused"), "{}", ended.stderr);
    assert!(!format!("{ended:?}").contains(SENTINEL));
}

/// A cluster that lets alice in with [`SENTINEL`] as her password.
async fn cluster_of_alice() -> Cluster {
    let users = Users::new([SaslMechanism::Plain, SaslMechanism::ScramSha512]);
    Cluster::builder()
        .topic(TOPIC, 1)
        .sasl(users.user("alice", SENTINEL))
        .start()
        .await
        .unwrap()
}

/// Mappings of a process that have the bytes in them.
#[cfg(target_os = "linux")]
fn places_in_memory(process: u32, wanted: &[u8]) -> Vec<String> {
    use std::os::unix::fs::FileExt as _;

    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut places = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // Some of what is mapped cannot be read.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        let found = bytes.windows(wanted.len()).filter(|part| *part == wanted);
        places.extend(found.map(|_| line.to_owned()));
    }
    places
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_in_memory_once_the_broker_has_let_us_in() {
    let cluster = cluster_of_alice().await;
    for mechanism in ["plain", "scram-sha-512"] {
        let room = directory();
        let password = room.path().join("password");
        fs::write(&password, SENTINEL).unwrap();
        let mut command = crate::support::produce(&cluster.bootstrap());
        command
            .args(["--security-protocol", "sasl_plaintext"])
            .args(["--sasl-mechanism", mechanism, "--username", "alice"])
            .arg("--allow-unencrypted-password")
            .arg("--password-file")
            .arg(&password);
        let acked = cluster.stats().records();
        let mut running = Running::start(&mut command);
        let mut input = running.input();
        input.write_all(b"this line is in memory\n").unwrap();
        wait_for("the record", || {
            (cluster.stats().records() > acked).then_some(())
        });
        let process = running.child().id();
        // What is looked for in the right way is found.
        assert!(!places_in_memory(process, b"alice").is_empty());
        let places = places_in_memory(process, SENTINEL.as_bytes());
        assert!(places.is_empty(), "{mechanism}: {places:#?}");
        drop(input);
        running.ended().code(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_no_file_of_a_queue_and_in_nothing_that_is_told() {
    let cluster = cluster_of_alice().await;
    // Nothing is acknowledged, so that all of it stays on disk.
    cluster.inject(Fault::hold().api(ApiKey::PRODUCE).always());
    for mechanism in ["plain", "scram-sha-512"] {
        let queue = directory();
        let mut command = wolff(["produce", "--brokers", &cluster.bootstrap(), "-vvv"]);
        command
            .args(["--topic", TOPIC, "--drain-timeout", "1", "--queue-dir"])
            .arg(queue.path())
            .args(["--security-protocol", "sasl_plaintext"])
            .args(["--sasl-mechanism", mechanism, "--username", "alice"])
            .arg("--allow-unencrypted-password")
            .env("WOLFF_PASSWORD", SENTINEL);
        // That no output has it is looked at for every command.
        let ended = run(&mut command, "a line\n").code(3);
        assert!(ended.stderr.contains("connected"), "{}", ended.stderr);
        let (mut files, mut folders) = (0, vec![queue.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(&path).unwrap();
                let mark = SECRETS_MARK.as_bytes();
                assert!(!bytes.windows(mark.len()).any(|piece| piece == mark));
                files += 1;
            }
        }
        assert!(files > 0);
    }
}

/// Checks that a broker's authority is taken from the system, by what `metadata --check` says. The
/// variable is how a system (and a container) says where its authorities are.
fn check_by_system_roots(brokers: &str, authority: &std::path::Path) {
    let flags = [
        "metadata",
        "--check",
        "--security-protocol",
        "ssl",
        "--brokers",
    ];
    let mut command = wolff(flags);
    command.arg(brokers).env_remove("SSL_CERT_DIR");
    let ended = run(command.env("SSL_CERT_FILE", authority), "").code(0);
    assert!(ended.stdout.contains("fine"), "{}", ended.stdout);
    let stranger = CertificateAuthority::new("stranger").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), stranger.certificate_pem()).unwrap();
    let ended = run(command.env("SSL_CERT_FILE", file.path()), "").code(2);
    let why = "the broker's certificate is not accepted";
    assert!(ended.stdout.contains(why), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_the_authorities_of_the_system_count() {
    let authority = CertificateAuthority::new("system").unwrap();
    let server = authority.server(&["127.0.0.1"]).unwrap();
    let listener = TlsListener::new(&server).unwrap();
    let cluster = Cluster::builder().tls(listener).start().await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), authority.certificate_pem()).unwrap();
    check_by_system_roots(&cluster.bootstrap(), file.path());
}

#[test]
fn the_authorities_of_the_system_count_for_a_real_kafka() {
    match variable("WOLFF_KAFKA_TLS").and_then(|brokers| Ok((brokers, variable("WOLFF_KAFKA_CA")?)))
    {
        Ok((brokers, authority)) => check_by_system_roots(&brokers, authority.as_ref()),
        Err(reason) => tell_skipped(
            "security::the_authorities_of_the_system_count_for_a_real_kafka",
            &reason,
        ),
    }
}

#[test]
fn help_explains_every_flag() {
    for command in [&["produce"][..], &["metadata"], &["topic", "list"]] {
        let ended = run(wolff(command).arg("--help"), "").code(0);
        for word in [
            "--security-protocol",
            "--ca-file",
            "--cert-file",
            "--key-file",
            "--sasl-mechanism",
            "--username",
            "--password-file",
            "WOLFF_PASSWORD",
            "--token-command",
        ] {
            assert!(ended.stdout.contains(word), "{command:?}: {word}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_for_each_host_what_is_wrong() {
    let cluster = cluster(1).await;
    let brokers = format!(
        "{},127.0.0.1:1,no-such-host.invalid:9092",
        cluster.bootstrap()
    );
    let check = ["metadata", "--check", "--brokers", &brokers];
    let ended = run(&mut wolff(check), "").code(2);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines[0], format!("{}: fine", cluster.bootstrap()));
    assert!(lines[1].starts_with("127.0.0.1:1: connection refused"));
    assert!(lines[2].starts_with("no-such-host.invalid:9092: name not found"));

    let brokers = cluster.bootstrap();
    let check = ["metadata", "--check", "--json", "--brokers", &brokers];
    let ended = run(&mut wolff(check), "").code(0);
    let checked: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(checked[0]["is_fine"], true);
}

/// The environment of a real Kafka, or why there is none.
fn variable(name: &str) -> Result<String, String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("{name} is not set"))
}

/// A token that Kafka takes where no authority for tokens is configured; printed by the shell
/// alone.
const UNSECURED_TOKEN: &str = "\
    b64() { printf %s \"$1\" | base64 | tr -d '=\\n' | tr '/+' '_-'; }; \
    now=$(date +%s); \
    printf '%s.%s.' \"$(b64 '{\"alg\":\"none\"}')\" \
    \"$(b64 \"{\\\"sub\\\":\\\"wolff\\\",\\\"iat\\\":$((now - 9)),\\\"exp\\\":$((now + 600))}\")\"";

/// The flags for every listener and mechanism, with the variable that says where it is.
fn ways() -> Result<Vec<(String, Vec<String>)>, String> {
    let (ca, user) = (variable("WOLFF_KAFKA_CA")?, variable("WOLFF_KAFKA_USER")?);
    let (cert, key) = (
        variable("WOLFF_KAFKA_CLIENT_CERT")?,
        variable("WOLFF_KAFKA_CLIENT_KEY")?,
    );
    let tls = format!("--ca-file {ca}");
    let mut ways = vec![
        ("WOLFF_KAFKA", String::new()),
        ("WOLFF_KAFKA_TLS", format!("--security-protocol ssl {tls}")),
        (
            "WOLFF_KAFKA_MTLS",
            format!("{tls} --cert-file {cert} --key-file {key}"),
        ),
    ];
    for mechanism in ["plain", "SCRAM-SHA-256", "scram-sha-512"] {
        let flags = format!("--sasl-mechanism {mechanism} --username {user}");
        ways.push((
            "WOLFF_KAFKA_SASL_TLS",
            format!("--security-protocol SASL_SSL {tls} {flags}"),
        ));
        ways.push((
            "WOLFF_KAFKA_SASL_PLAINTEXT",
            format!("--security-protocol sasl_plaintext --allow-unencrypted-password {flags}"),
        ));
    }
    let words = |flags: String| {
        flags
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for (name, flags) in ways {
        all.push((variable(name)?, words(flags)));
    }
    let mut oauth = words(format!(
        "--security-protocol sasl_ssl {tls} --sasl-mechanism oauthbearer"
    ));
    oauth.extend(["--token-command".to_owned(), UNSECURED_TOKEN.to_owned()]);
    all.push((variable("WOLFF_KAFKA_SASL_TLS")?, oauth));
    Ok(all)
}

#[test]
fn every_listener_of_a_real_kafka_is_reached() {
    let ways = match ways().and_then(|ways| Ok((ways, variable("WOLFF_KAFKA_PASSWORD")?))) {
        Ok(ways) => ways,
        Err(reason) => {
            tell_skipped(
                "security::every_listener_of_a_real_kafka_is_reached",
                &reason,
            );
            return;
        }
    };
    let (ways, password) = ways;
    let topic = format!("security-{}", std::process::id());
    let file = directory().path().join("password");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("{password}\n")).unwrap();
    for (number, (brokers, flags)) in ways.iter().enumerate() {
        let command = |words: &[&str]| {
            let mut command = wolff(words);
            command.args(["--brokers", brokers]).args(flags).arg("-vvv");
            if flags.iter().any(|flag| flag == "--username") {
                command.args(["--password-file".as_ref(), file.as_os_str()]);
            }
            command
        };
        let ended = run(&mut command(&["metadata"]), "").code(0);
        assert!(ended.stdout.contains("controller"), "{flags:?}");
        if number == 0 {
            run(&mut command(&["topic", "create", &topic]), "").code(0);
        }
        let ended = run(&mut command(&["produce", "--topic", &topic]), "one\ntwo\n").code(0);
        assert!(!format!("{ended:?}").contains(&password), "{flags:?}");
        run(&mut command(&["metadata", "--check"]), "").code(0);
    }
}

#[test]
fn a_wrong_password_is_told_at_once_and_not_shown() {
    let Ok((brokers, ca)) = variable("WOLFF_KAFKA_SASL_TLS")
        .and_then(|brokers| Ok((brokers, variable("WOLFF_KAFKA_CA")?)))
    else {
        let name = "security::a_wrong_password_is_told_at_once_and_not_shown";
        return tell_skipped(name, "WOLFF_KAFKA_SASL_TLS is not set");
    };
    for mechanism in ["plain", "scram-sha-512"] {
        let mut command = wolff(["produce", "--topic", "t", "--brokers", &brokers, "-vvv"]);
        command
            .args(["--security-protocol", "sasl_ssl", "--ca-file", &ca])
            .args(["--sasl-mechanism", mechanism, "--username", "wolff"])
            .env("WOLFF_PASSWORD", SENTINEL);
        let ended = run(&mut command, "line\n").code(1);
        assert!(
            ended.stderr.contains("authentication refused"),
            "{}",
            ended.stderr
        );
        assert!(!format!("{ended:?}").contains(SENTINEL));
    }
}
