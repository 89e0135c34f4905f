//! One record at a time, each waited for until Kafka has it.
//!
//! `cargo run -p wolff --example sync -- localhost:9092 events`

use std::error::Error;
use std::time::Duration;

use wolff::{Client, Producer, Record};

/// Time that a record may take to its acknowledgement, waiting for a leader included.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(brokers: &str, topic: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(brokers.split(',')).build()?;
    let producer = Producer::builder(&client, topic).start().await?;
    for degrees in ["21.5 C", "21.7 C", "21.4 C"] {
        let record = Record::new().key("device-7").value(degrees);
        // After an error, `SendAndWaitError` says whether the record was accepted and is still
        // being sent, or comes back with the error.
        let ack = producer.send_and_wait(record, PATIENCE).await?;
        println!(
            "{degrees}: partition {}, offset {:?}",
            ack.partition, ack.offset
        );
    }
    producer.stop(Duration::ZERO).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().unwrap_or("localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    run(&brokers, &topic).await
}
