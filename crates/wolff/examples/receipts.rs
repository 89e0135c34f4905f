//! Many records in flight, and their receipts awaited afterwards: a receipt is a future that can be
//! kept, cloned, joined, and awaited more than once.
//!
//! `cargo run -p wolff --example receipts -- localhost:9092 events`

use std::error::Error;
use std::time::Duration;

use wolff::{Client, Producer, Receipt, Record};

pub(crate) async fn run(brokers: &str, topic: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(brokers.split(',')).build()?;
    let producer = Producer::builder(&client, topic).start().await?;
    let mut receipts: Vec<Receipt> = Vec::new();
    for number in 0..100 {
        // A call of several records is one unit: one partition, together, in order, one receipt.
        let call: Vec<Record> = ["picked", "packed", "shipped"]
            .map(|step| Record::new().key(format!("parcel-{number}")).value(step))
            .into();
        receipts.push(producer.send(call).await?);
    }
    // The batches are on their way side by side; awaiting one after the other costs nothing.
    let mut offsets = Vec::new();
    for receipt in receipts {
        let ack = receipt.await?;
        offsets.push((ack.partition, ack.offset));
    }
    println!(
        "{} calls acknowledged, the last at {:?}",
        offsets.len(),
        offsets.last()
    );
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
