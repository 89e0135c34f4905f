//! A7: SASL.

use std::time::Duration;

use tokio::time::Instant;
use wolff_client::codec::messages::InitProducerIdRequest;
use wolff_client::{
    Address, Client, Credentials, CredentialsFile, Exchange, Mechanism, OAuthToken, PasswordFile,
    Reply, Sasl, SaslFuture,
};
use wolff_testbroker::{Cluster, Sasl as Users, SaslMechanism};

use crate::impatience::{client_of, in_time};

const PASSWORD: &str = "s3ntinel-of-a7";
const TOKEN: &str = "s3ntinel.token.a7";
const SESSION: Duration = Duration::from_secs(2);

/// PLAIN, as somebody else might write it.
#[derive(Debug)]
struct Plugin;

impl Mechanism for Plugin {
    fn name(&self) -> &str {
        "PLAIN"
    }

    fn start<'a>(&'a self, _broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        Box::pin(std::future::ready(
            Ok(Box::new(OneMessage(false)) as Box<_>),
        ))
    }
}

struct OneMessage(bool);

impl Exchange for OneMessage {
    fn step<'a>(&'a mut self, _challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        let reply = match std::mem::replace(&mut self.0, true) {
            false => Reply::Send(format!("\0alice\0{PASSWORD}").into()),
            true => Reply::Done,
        };
        Box::pin(std::future::ready(Ok(reply)))
    }
}

fn client(cluster: &Cluster, sasl: Sasl) -> Client {
    let builder = client_of(format!("SASL_PLAINTEXT://{}", cluster.bootstrap()));
    let builder = builder.sasl(sasl.allow_unencrypted_secrets());
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_every_mechanism_from_every_source_of_credentials_renews_its_session_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, format!("alice\n{PASSWORD}\n")).unwrap();
    let password_file = directory.path().join("password");
    std::fs::write(&password_file, PASSWORD).unwrap();
    let given = Credentials::new("alice", PASSWORD);
    let asynchronous = || async {
        tokio::task::yield_now().await;
        Ok(Credentials::new("alice", PASSWORD))
    };
    let tokens = || std::future::ready(Ok(OAuthToken::new(TOKEN)));
    let all = [
        Sasl::plain(given),
        Sasl::scram_sha_256(CredentialsFile::new(file)),
        Sasl::scram_sha_512(PasswordFile::new("alice", password_file)),
        Sasl::scram_sha_512(asynchronous),
        Sasl::oauth_bearer(tokens),
        Sasl::mechanism(Plugin),
    ];
    let users = Users::new([
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
        SaslMechanism::OAuthBearer,
    ]);
    let users = users.user("alice", PASSWORD).token(TOKEN, "alice");
    let users = users.session_lifetime(SESSION);
    let cluster = Cluster::builder().sasl(users).start().await.unwrap();
    let count = u64::try_from(all.len()).unwrap();
    let loads = all.map(|sasl| {
        let client = client(&cluster, sasl);
        tokio::spawn(async move {
            let connection = client.any_connection().await.unwrap();
            let begin = Instant::now();
            let mut last = None;
            // Whoever does not renew is disconnected in less than half of this.
            while begin.elapsed() < SESSION * 9 / 4 {
                let question = InitProducerIdRequest::default();
                let pending: Vec<_> = (0..5)
                    .map(|_| connection.start(&question).unwrap())
                    .collect();
                for pending in pending {
                    // Answers come in the order of the questions: the broker counts.
                    let id = pending.await.unwrap().producer_id.0;
                    assert!(last.is_none_or(|last| last < id));
                    last = Some(id);
                }
            }
        })
    });
    for load in loads {
        in_time(load).await.unwrap();
    }
    let stats = cluster.stats();
    assert_eq!(
        (stats.authentications(), stats.expired_sessions()),
        (count, 0)
    );
    assert!(stats.reauthentications() >= 2 * count, "{stats:?}");
}
