//! Passwords and certificates that change while the client is connected; it is never restarted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::RwLock;
use wolff_client::codec::ErrorCode;
use wolff_client::codec::messages::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use wolff_client::{
    Client, Credentials, CredentialsProvider, HostReason, PasswordFile, Sasl, SaslFailure,
    SaslFuture, TlsFailure, TlsIdentity,
};
use wolff_testbroker::CertificateAuthority;

use crate::load::Load;
use crate::nodes::{Listener, Nodes, in_time, session, tls};
use crate::scram_user::set_password;

/// A password file that counts how often it is read, and is not read while the password changes:
/// nodes and file cannot change at the same instant, and who logs in between is refused.
struct Watched {
    file: PasswordFile,
    logins: Arc<AtomicUsize>,
    change: Arc<RwLock<()>>,
}

impl CredentialsProvider for Watched {
    fn credentials(&self) -> SaslFuture<'_, Credentials> {
        self.logins.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            let _unchanged = self.change.read().await;
            self.file.credentials().await
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_scram_password_is_picked_up_by_the_next_renewal_under_load() {
    let Some(nodes) = Nodes::in_peace().await else {
        return;
    };
    let admin = nodes.client(Listener::Plaintext).build().unwrap();
    let mechanisms: [fn(Watched) -> Sasl; 2] = [Sasl::scram_sha_256, Sasl::scram_sha_512];
    for mechanism in mechanisms {
        let user = format!("rotating-{}", std::process::id());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3ntinel-first").unwrap();
        set_password(&admin, &user, "s3ntinel-first").await;
        let logins = Arc::new(AtomicUsize::new(0));
        let change = Arc::new(RwLock::new(()));
        let sasl = mechanism(Watched {
            file: PasswordFile::new(&user, file.path()),
            logins: Arc::clone(&logins),
            change: Arc::clone(&change),
        });
        let client = nodes.client(Listener::SaslTls).sasl(sasl).build().unwrap();
        let topic = nodes.topic("password", 1).await;
        wait_until_known(&client).await;
        let mut load = Load::new(&client, &topic).await;

        let before = logins.load(Ordering::Relaxed);
        while logins.load(Ordering::Relaxed) == before {
            load.run_for(Duration::from_millis(20)).await.unwrap();
        }
        let guard = change.write().await;
        set_password(&admin, &user, "s3ntinel-second").await;
        let new = Sasl::scram_sha_256(Credentials::new(&user, "s3ntinel-second"));
        wait_until_known(&nodes.client(Listener::SaslTls).sasl(new).build().unwrap()).await;
        std::fs::write(file.path(), "s3ntinel-second").unwrap();
        drop(guard);
        load.run_for(session() * 2).await.unwrap();
        assert!(load.finish(&nodes).await > 0);

        let old = Sasl::scram_sha_512(Credentials::new(&user, "s3ntinel-first"));
        let old = nodes.client(Listener::SaslTls).sasl(old).build().unwrap();
        let refused = in_time(old.check_connectivity()).await.unwrap_err();
        for host in refused {
            let is_refused = matches!(
                host.reason,
                HostReason::Sasl(SaslFailure::Refused {
                    code: ErrorCode::SASL_AUTHENTICATION_FAILED,
                    ..
                })
            );
            assert!(is_refused, "{host}");
        }
    }
}

/// A new user is known to one node after the other.
async fn wait_until_known(client: &Client) {
    let known = async {
        while client
            .probe_hosts()
            .await
            .iter()
            .any(|(_, outcome)| outcome.is_err())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    in_time(known).await;
}

/// Files in a folder, as Kafka and the client read them.
struct Files(tempfile::TempDir);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        // Renamed into place, so that nobody reads half of it.
        let aside = self.path("aside");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        path
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotated_certificates_of_brokers_and_of_the_client_need_no_restart() {
    let Some(nodes) = Nodes::alone().await else {
        return;
    };
    let files = Files(tempfile::tempdir().unwrap());
    let old_authority = std::fs::read_to_string(tls().ca_file.unwrap()).unwrap();
    let environment = |name: &str| std::fs::read_to_string(std::env::var(name).unwrap()).unwrap();
    let mut options = tls();
    options.ca_file = Some(files.write("ca.pem", &old_authority));
    options.identity = Some(TlsIdentity {
        cert_file: files.write("client.pem", &environment("WOLFF_KAFKA_CLIENT_CERT")),
        key_file: files.write("client.key", &environment("WOLFF_KAFKA_CLIENT_KEY")),
    });
    let client = |listener| {
        let builder = nodes.client_of_node(listener, 1);
        builder.tls(options.clone()).build().unwrap()
    };
    let (encrypted, mutual) = (client(Listener::Tls), client(Listener::MutualTls));
    let held = encrypted.any_connection().await.unwrap();
    mutual.check_connectivity().await.unwrap();

    // The broker's certificate is another authority's from now on.
    let authority = CertificateAuthority::new("new authority").unwrap();
    let server = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let keystore = format!(
        "{}{}{}",
        server.key_pem(),
        server.certificate_pem(),
        authority.certificate_pem()
    );
    let keystore = files.write("server.pem", &keystore);
    for listener in ["ssl", "mtls"] {
        let name = format!("listener.name.{listener}.ssl.keystore.location");
        alter(&nodes, &name, Some(&keystore)).await;
    }
    let refused = in_time(refusal(&encrypted)).await;
    assert!(
        matches!(refused, HostReason::Tls(TlsFailure::Certificate(_))),
        "{refused}"
    );
    // What is connected stays so.
    let question = wolff_client::codec::messages::MetadataRequest::default();
    held.request(&question).await.unwrap();

    let both = format!("{old_authority}{}", authority.certificate_pem());
    let both = files.write("ca.pem", &both);
    in_time(works(&encrypted)).await;
    in_time(works(&mutual)).await;

    // And the broker trusts the client's old authority no longer.
    let trusted = files.write("trusted.pem", authority.certificate_pem());
    let truststore = "listener.name.mtls.ssl.truststore.location";
    alter(&nodes, truststore, Some(&trusted)).await;
    let refused = in_time(refusal(&mutual)).await;
    assert!(matches!(refused, HostReason::Tls(_)), "{refused}");
    let identity = authority.client("renewed").unwrap();
    files.write("client.key", identity.key_pem());
    files.write("client.pem", identity.certificate_pem());
    in_time(works(&mutual)).await;
    assert!(both.exists());

    alter(&nodes, truststore, None).await;
    for listener in ["ssl", "mtls"] {
        let name = format!("listener.name.{listener}.ssl.keystore.location");
        alter(&nodes, &name, None).await;
    }
}

/// Changes a setting of node 1 while it runs, or takes the change back.
async fn alter(nodes: &Nodes, name: &str, value: Option<&Path>) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 4,
            resource_name: "1".into(),
            configs: vec![AlterableConfig {
                name: name.into(),
                config_operation: i8::from(value.is_none()),
                value: value.map(|path| path.display().to_string().into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let client = nodes
        .client_of_node(Listener::Plaintext, 1)
        .build()
        .unwrap();
    let connection = client.any_connection().await.unwrap();
    let answer = connection.request(&request).await.unwrap();
    let outcome = &answer.responses[0];
    assert_eq!(
        outcome.error_code,
        ErrorCode::NONE,
        "{name}: {:?}",
        outcome.error_message
    );
}

/// Why the client's host is refused, as soon as it is: the node needs a moment to learn of a
/// change.
async fn refusal(client: &Client) -> HostReason {
    loop {
        if let Err(reason) = client.probe_hosts().await.remove(0).1 {
            return reason;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Resolves as soon as the client's host is fine.
async fn works(client: &Client) {
    while client.probe_hosts().await.remove(0).1.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
