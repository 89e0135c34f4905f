//! TLS with an authority of one's own, and SCRAM with a password from a file.
//!
//! `cargo run -p wolff --example tls_scram -- broker.example.com:9094 events ca.pem alice password`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use wolff::{Client, PasswordFile, Producer, Record, Sasl, TlsOptions};

pub(crate) async fn run(
    brokers: &str,
    topic: &str,
    authority: &Path,
    user: &str,
    password: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut tls = TlsOptions::default();
    // Without it, the authorities of the operating system are trusted.
    tls.ca_file = Some(authority.to_owned());
    let client = Client::builder(brokers.split(','))
        .tls(tls)
        // The file is read at each authentication: a new password needs no restart.
        .sasl(Sasl::scram_sha_512(PasswordFile::new(user, password)))
        .build()?;
    let producer = Producer::builder(&client, topic).start().await?;
    let record = Record::new().key("device-7").value("21.5 C");
    let ack = producer
        .send_and_wait(record, Duration::from_secs(30))
        .await?;
    println!("partition {}, offset {:?}", ack.partition, ack.offset);
    producer.stop(Duration::ZERO).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, authority, user, password] = &arguments[..] else {
        return Err("brokers, topic, authority's PEM file, user, password file".into());
    };
    run(
        brokers,
        topic,
        Path::new(authority),
        user,
        Path::new(password),
    )
    .await
}
