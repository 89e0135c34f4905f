//! A queue on disk: records are safe once `send` returns, and what one run does not deliver, the
//! next one does.
//!
//! `cargo run -p wolff --example disk_queue -- localhost:9092 events ./queue`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use wolff::{Client, Durability, Producer, Record, records_left};

/// Names the queue, together with topic and directory: the same in every run.
const CLIENT_ID: &str = "gateway-1";

pub(crate) async fn run(
    brokers: &str,
    topic: &str,
    directory: &Path,
) -> Result<(), Box<dyn Error>> {
    // What a previous run left. Nothing is opened or locked for it.
    let left = records_left(directory, CLIENT_ID, topic)?;
    println!(
        "{left} records of previous runs are in {}",
        directory.display()
    );

    let client = Client::builder(brokers.split(','))
        .client_id(CLIENT_ID)
        .build()?;
    let producer = Producer::builder(&client, topic)
        .replayq_dir(directory)
        // The default survives the end of the process. This one survives a power cut as well, at
        // the price of a sync of the disk; calls that come together share it.
        .durability(Durability::Fsync {
            max_delay: Duration::from_millis(5),
        })
        .start()
        .await?;
    for number in 0..100 {
        // Returns when the record is on disk; Kafka may be down.
        let _receipt = producer
            .send(Record::new().value(format!("event {number}")))
            .await?;
    }
    // Waits for Kafka, but not for ever. What is left then is sent by the next run.
    let left = producer.drain(Duration::from_secs(10)).await?;
    let stats = producer.stats();
    println!(
        "{} acknowledged, {} of previous runs, {} left for the next",
        stats.acked, stats.replayed, left.in_queue
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().unwrap_or("localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    let directory = arguments.next().unwrap_or("queue".to_owned());
    run(&brokers, &topic, Path::new(&directory)).await
}
