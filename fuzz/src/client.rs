//! Input that a client reads before it has a connection: endpoints, files, and the first responses
//! of a broker that nobody has authenticated yet.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use wolff_client::{
    Address, BoxStream, Client, ClientConfig, Credentials, CredentialsFile, CredentialsProvider,
    Dial, DialFuture, Endpoint, HostReason, PasswordFile, Reply, Sasl, SaslFailure, Secret,
    TlsOptions, TlsPemIdentity,
};

/// The longest line that an error may make of hostile input, in bytes.
const LONGEST_ERROR_BYTES: usize = 4 * 1024;

/// Any text as a list of endpoints: what is read is written as text that means the same, and what
/// is refused is refused with one line of text.
pub fn endpoints(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Endpoint::parse_list(&text) {
        Ok(endpoints) => {
            for endpoint in endpoints {
                let address = &endpoint.address;
                assert_ne!(address.port(), 0);
                assert!(!address.host().is_empty());
                let protocol = endpoint.protocol.map(|protocol| format!("{protocol}://"));
                let written = format!("{}{address}", protocol.unwrap_or_default());
                assert_eq!(written.parse(), Ok(endpoint), "{written}");
            }
        }
        Err(error) => is_a_line(&error.to_string()),
    }
    if let Err(error) = Client::builder([text]).build() {
        is_a_line(&error.to_string());
    }
}

/// Any bytes as certificates, a key and its password: an error says what is wrong and shows nothing
/// of the key.
pub fn pem(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\0');
    let [authorities, certificates, key] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let mut options = TlsOptions::default();
    options.ca_pem = Some(authorities.to_owned());
    if !certificates.is_empty() {
        options.identity_pem = Some(TlsPemIdentity {
            certificates: certificates.to_owned(),
            key: key.into(),
        });
        options.key_password = Some(Secret::from("sesame"));
    }
    let built = Client::builder(["SSL://broker:9093"]).tls(options).build();
    if let Err(error) = built {
        is_a_line(&error.to_string());
    }
}

/// Any bytes as files with credentials: what is read is in the file, and an error shows nothing of
/// it.
pub fn credential_files(data: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), data).expect("a temporary file can be written");
    let is_in_file = |part: &[u8]| part.is_empty() || data.windows(part.len()).any(|w| w == part);
    run(async {
        let password = PasswordFile::new("alice", file.path()).credentials().await;
        match password {
            Ok(credentials) => assert!(data.starts_with(credentials.password.expose())),
            Err(failure) => is_a_line(&failure.to_string()),
        }
        match CredentialsFile::new(file.path()).credentials().await {
            Ok(Credentials { username, password }) => {
                assert!(is_in_file(username.as_bytes()) && is_in_file(password.expose()));
                assert!(!username.contains('\n') && !password.expose().contains(&b'\n'));
            }
            Err(failure) => is_a_line(&failure.to_string()),
        }
    });
}

/// Any bytes as a SCRAM server's messages, `%` in them standing for the client's nonce: nobody who
/// does not know the password is believed.
pub fn scram(data: &[u8]) {
    let sasl = Sasl::scram_sha_256(Credentials::new("alice", "password"));
    run(async {
        let broker = Address::new("broker", 9092);
        let exchange = sasl.as_mechanism().start(&broker).await;
        let mut exchange = exchange.expect("the credentials are there");
        let Ok(Reply::Send(first)) = exchange.step(None).await else {
            panic!("the client sends the first message");
        };
        let greeting = String::from_utf8_lossy(first.expose()).into_owned();
        let (_, nonce) = greeting.rsplit_once("r=").expect("a nonce is sent");
        for message in data.split(|byte| *byte == 0) {
            let mut challenge = Vec::new();
            for &byte in message {
                match byte {
                    b'%' => challenge.extend_from_slice(nonce.as_bytes()),
                    _ => challenge.push(byte),
                }
            }
            match exchange.step(Some(&challenge)).await {
                Ok(Reply::Send(_)) => {}
                Ok(Reply::Done) => panic!("a server without the password is believed"),
                Err(failure) => {
                    is_a_line(&failure.to_string());
                    let is_of_broker = matches!(failure, SaslFailure::Broker(_));
                    assert!(is_of_broker, "{failure:?}");
                    return;
                }
            }
        }
    });
}

/// A network on which each stream has its script.
#[derive(Debug)]
struct Scripted(Arc<Mutex<VecDeque<Vec<u8>>>>);

/// The most streams of one input.
const MOST_STREAMS: usize = 4;

impl Dial for Scripted {
    fn dial<'a>(&'a self, _address: &'a Address) -> DialFuture<'a> {
        let mut scripts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let script = scripts.pop_front();
        Box::pin(async move {
            let Some(script) = script else {
                return Err(HostReason::Refused);
            };
            let (near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(speak(far, script));
            Ok(Box::new(near) as BoxStream)
        })
    }
}

/// Responds to each request with the next part of a script: a part that begins with an even byte is
/// the rest of a response to that very request, any other one is sent as it is.
async fn speak(mut stream: DuplexStream, script: Vec<u8>) -> std::io::Result<()> {
    for part in script.split(|byte| *byte == 0xfe) {
        let length = stream.read_u32().await?;
        let mut request = vec![0; usize::try_from(length).unwrap_or_default().min(1 << 16)];
        stream.read_exact(&mut request).await?;
        let Some((kind, rest)) = part.split_first() else {
            return Ok(());
        };
        if kind % 2 == 0 {
            let id = request.get(4..8).unwrap_or_default();
            let length = u32::try_from(rest.len() + id.len()).unwrap_or_default();
            stream.write_u32(length).await?;
            stream.write_all(id).await?;
        }
        stream.write_all(rest).await?;
    }
    Ok(())
}

/// Any bytes as what brokers respond first on each of several connections, to ApiVersions and what
/// follows it: the client falls back, gives up or has a connection, and says so in bounded time.
pub fn first_answers(data: &[u8]) {
    let streams = data.split(|byte| *byte == 0xff).take(MOST_STREAMS);
    let scripts = Arc::new(Mutex::new(streams.map(<[u8]>::to_vec).collect()));
    run(async {
        let config = ClientConfig::default();
        let longest = config.connect_timeout * 4 + config.metadata_timeout;
        let client = Client::builder(["broker:9092"])
            .config(config)
            .dialer(Scripted(scripts))
            .build()
            .expect("the configuration is right");
        let checked = tokio::time::timeout(longest, client.check_connectivity()).await;
        let checked = checked.expect("it ends in time");
        if let Err(hosts) = checked {
            for host in hosts {
                is_a_line(&host.to_string());
            }
        }
        for report in client.examine_hosts().await {
            if let Err(reason) = report.outcome {
                is_a_line(&reason.to_string());
            }
        }
        client.close().await;
    });
}

/// Runs on a clock that jumps where everybody waits.
fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(24 * 60 * 60), future)
            .await
            .expect("nothing waits for ever");
    });
}

/// Fails where an error would break a log or a terminal.
fn is_a_line(text: &str) {
    assert!(!text.is_empty());
    assert!(text.len() <= LONGEST_ERROR_BYTES, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
