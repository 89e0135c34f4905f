//! A client that was written by others, against librdkafka, lists, produces and consumes.
//!
//! Without kcat on the machine these tests say that they are skipped, on standard error and in the
//! file that `WOLFF_SKIPS` names.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::process::Stdio;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::process::Command;
    use wolff_codec::records::{Batches, Compression, Record};
    use wolff_codec::{ApiKey, ErrorCode};
    use wolff_testbroker::{Cluster, Conditions, Fault, Proxy, ProxyFault, Sasl, SaslMechanism};

    /// Beyond this a test is stuck.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Runs kcat with arguments and input, and returns its output; it must succeed.
    async fn kcat(cluster: &Cluster, arguments: &[&str], input: &str) -> String {
        kcat_at(&cluster.bootstrap(), arguments, input).await
    }

    /// The same with these bootstrap servers.
    async fn kcat_at(bootstrap: &str, arguments: &[&str], input: &str) -> String {
        // cargo puts the librdkafka that it has built where the linker looks first; kcat has its
        // own.
        let mut child = Command::new("kcat")
            .env_remove("LD_LIBRARY_PATH")
            .args(["-b", bootstrap])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feed = async {
            stdin.write_all(input.as_bytes()).await.unwrap();
            drop(stdin);
        };
        let run = async { tokio::join!(feed, child.wait_with_output()).1.unwrap() };
        let output = tokio::time::timeout(PATIENCE, run)
            .await
            .expect("kcat is stuck");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kcat {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// True if kcat is missing; says so for this test if it is.
    fn is_skipped(test: &str) -> bool {
        let version = std::process::Command::new("kcat").arg("-V").output();
        if version.is_ok_and(|output| output.status.success()) {
            return false;
        }
        // Not with `eprintln`, which is silent in a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: kcat not installed ({test})");
        if let Some(path) = std::env::var_os("WOLFF_SKIPS") {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .unwrap();
            file.write_all(format!("tests::{test}: kcat not installed\n").as_bytes())
                .unwrap();
        }
        true
    }

    fn lines(records: impl IntoIterator<Item = Record>) -> Vec<String> {
        let line = |record: Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        records.into_iter().map(line).collect()
    }

    #[tokio::test]
    async fn lists_brokers_and_topics() {
        if is_skipped("lists_brokers_and_topics") {
            return;
        }
        let cluster = Cluster::builder()
            .brokers(3)
            .topic("orders", 2)
            .start()
            .await
            .unwrap();
        let listing = kcat(&cluster, &["-L"], "").await;
        for (broker, address) in cluster.addresses() {
            assert!(
                listing.contains(&format!("broker {broker} at {address}")),
                "{listing}"
            );
        }
        assert!(
            listing.contains("topic \"orders\" with 2 partitions"),
            "{listing}"
        );
        assert!(
            listing.contains("partition 1, leader 2, replicas: 2,3,1"),
            "{listing}"
        );
    }

    #[tokio::test]
    async fn produces_and_consumes_with_every_compression() {
        if is_skipped("produces_and_consumes_with_every_compression") {
            return;
        }
        for compression in Compression::ALL
            .into_iter()
            .filter(|compression| compression.is_available())
        {
            let cluster = Cluster::builder()
                .brokers(2)
                .topic("orders", 2)
                .start()
                .await
                .unwrap();
            let input: Vec<String> = (0..5000)
                .map(|number| format!("line {number} of {compression}, ÄÖÜ"))
                .collect();
            let text = input.join("\n");
            let produce = [
                "-P",
                "-t",
                "orders",
                "-p",
                "1",
                "-z",
                compression.name(),
                "-H",
                "origin=test",
            ];
            kcat(&cluster, &produce, &text).await;

            let records = cluster.records("orders", 1).unwrap();
            assert!(
                records
                    .iter()
                    .all(|record| record.headers[0].key == "origin")
            );
            assert_eq!(lines(records), input);
            let stored = cluster.batches("orders", 1).unwrap();
            let batches = stored
                .into_iter()
                .flat_map(Batches::new)
                .map(Result::unwrap);
            assert!(
                batches
                    .into_iter()
                    .any(|batch| batch.header().compression == compression)
            );

            let consume = [
                "-C",
                "-e",
                "-q",
                "-t",
                "orders",
                "-p",
                "1",
                "-o",
                "beginning",
            ];
            assert_eq!(kcat(&cluster, &consume, "").await, text.clone() + "\n");
        }
    }

    #[tokio::test]
    async fn consumes_from_the_middle_and_the_end() {
        if is_skipped("consumes_from_the_middle_and_the_end") {
            return;
        }
        let cluster = Cluster::builder().topic("orders", 1).start().await.unwrap();
        kcat(&cluster, &["-P", "-t", "orders"], "a\nb\nc\nd").await;
        let consume = async |offset| {
            kcat(
                &cluster,
                &["-C", "-e", "-q", "-t", "orders", "-p", "0", "-o", offset],
                "",
            )
            .await
        };
        assert_eq!(consume("2").await, "c\nd\n");
        assert_eq!(consume("-1").await, "d\n");
        assert_eq!(consume("end").await, "");
        let by_time = kcat(&cluster, &["-Q", "-t", "orders:0:-1"], "").await;
        assert!(by_time.contains("offset 4"), "{by_time}");
    }

    #[tokio::test]
    async fn topics_come_to_be_as_it_produces() {
        if is_skipped("topics_come_to_be_as_it_produces") {
            return;
        }
        let cluster = Cluster::builder()
            .auto_create_topics(true)
            .start()
            .await
            .unwrap();
        kcat(&cluster, &["-P", "-t", "new", "-K", ":"], "key:value").await;
        let records = cluster.records("new", 0).unwrap();
        assert_eq!(records[0].key.as_deref(), Some(&b"key"[..]));
        assert_eq!(lines(records), ["value"]);
    }

    #[tokio::test]
    async fn what_an_idempotent_producer_resends_is_recognised() {
        if is_skipped("what_an_idempotent_producer_resends_is_recognised") {
            return;
        }
        let cluster = Cluster::builder()
            .brokers(2)
            .topic("orders", 1)
            .start()
            .await
            .unwrap();
        let produce = |fault: Fault| cluster.inject(fault.api(ApiKey::PRODUCE));
        let faults = [
            produce(Fault::drop_answer().skip(1)),
            produce(Fault::error_after_applying(ErrorCode::REQUEST_TIMED_OUT).skip(5)),
            produce(Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS).skip(9)),
            produce(Fault::half_answer().skip(13)),
            produce(Fault::drop_request().skip(17)),
        ];
        let input: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
        let arguments = [
            "-P",
            "-t",
            "orders",
            "-X",
            "enable.idempotence=true",
            "-X",
            "batch.num.messages=500",
            "-X",
            "retry.backoff.ms=10",
            "-X",
            "reconnect.backoff.ms=10",
        ];
        kcat(&cluster, &arguments, &input.join("\n")).await;
        assert_eq!(lines(cluster.records("orders", 0).unwrap()), input);
        let stats = cluster.stats();
        assert!(
            faults.iter().all(|fault| stats.hits(*fault) == 1),
            "{stats:?}"
        );
        assert!(stats.duplicates() >= 3, "{stats:?}");
    }

    /// A user's line, produced with these settings of librdkafka; nothing else gets in.
    async fn produce_with(cluster: &Cluster, settings: &[String]) {
        let mut arguments = vec!["-P", "-t", "orders", "-p", "0"];
        arguments.extend(settings.iter().flat_map(|setting| ["-X", setting]));
        kcat(cluster, &arguments, "a line").await;
        let records = cluster.records("orders", 0).unwrap();
        assert_eq!(lines(records), ["a line"]);
    }

    fn settings(settings: &[(&str, &str)]) -> Vec<String> {
        let setting = |(name, value): &(&str, &str)| format!("{name}={value}");
        settings.iter().map(setting).collect()
    }

    #[tokio::test]
    async fn authenticates_with_every_mechanism() {
        if is_skipped("authenticates_with_every_mechanism") {
            return;
        }
        for mechanism in SaslMechanism::ALL {
            let sasl = Sasl::new([mechanism])
                .user("alice", "it's, a=secret")
                .any_token(true);
            let cluster = Cluster::builder()
                .topic("orders", 1)
                .sasl(sasl)
                .start()
                .await
                .unwrap();
            let settings = settings(&[
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", mechanism.name()),
                ("sasl.username", "alice"),
                ("sasl.password", "it's, a=secret"),
                ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
                ("sasl.oauthbearer.config", "principal=alice"),
            ]);
            produce_with(&cluster, &settings).await;
            let stats = cluster.stats();
            assert!(stats.authentications() > 0, "{mechanism}");
            assert_eq!(stats.authentication_failures(), 0, "{mechanism}");
        }
    }

    #[cfg(feature = "tls")]
    #[tokio::test]
    async fn speaks_tls_and_shows_its_certificate() {
        use wolff_testbroker::{CertificateAuthority, TlsListener};

        if is_skipped("speaks_tls_and_shows_its_certificate") {
            return;
        }
        let authority = CertificateAuthority::new("tests").unwrap();
        let server = authority.server(&["127.0.0.1", "localhost"]).unwrap();
        let client = authority.client("alice").unwrap();
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let settings = settings(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", "alice"),
            ("sasl.password", "secret"),
            (
                "ssl.ca.location",
                &file("ca.pem", authority.certificate_pem()),
            ),
            (
                "ssl.certificate.location",
                &file("client.pem", client.certificate_pem()),
            ),
            ("ssl.key.location", &file("client.key", client.key_pem())),
            ("ssl.endpoint.identification.algorithm", "https"),
        ]);
        for listener in [
            TlsListener::new(&server).unwrap(),
            TlsListener::mutual(&server, authority.certificate_pem()).unwrap(),
        ] {
            let cluster = Cluster::builder()
                .topic("orders", 1)
                .tls(listener)
                .sasl(Sasl::new([SaslMechanism::ScramSha256]).user("alice", "secret"))
                .start()
                .await
                .unwrap();
            produce_with(&cluster, &settings).await;
            assert_eq!(cluster.stats().tls_failures(), 0);
        }
    }

    #[tokio::test]
    async fn stays_behind_a_bad_line() {
        if is_skipped("stays_behind_a_bad_line") {
            return;
        }
        let cluster = Cluster::builder()
            .brokers(3)
            .topic("orders", 6)
            .start()
            .await
            .unwrap();
        let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
        proxy.set_all_conditions(Conditions::default().slice_bytes(11));
        let lost = proxy.inject(ProxyFault::kill_after_applying().api(ApiKey::PRODUCE));
        let arguments = ["-P", "-t", "orders", "-X", "enable.idempotence=true"];
        kcat_at(&proxy.bootstrap(), &arguments, "one\ntwo\nthree").await;
        let counts = (0..6).map(|partition| cluster.records("orders", partition).unwrap().len());
        assert_eq!(counts.sum::<usize>(), 3);
        assert_eq!(proxy.stats().hits(lost), 1);
        // Everything went through the proxy.
        assert_eq!(
            cluster.stats().connections_accepted(),
            proxy.stats().connections_accepted
        );
    }
}
