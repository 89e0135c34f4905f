//! Records that are handed over without waiting, with a callback that gets the end of each call.
//!
//! `cargo run -p wolff --example callback -- localhost:9092 events`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wolff::{Client, DeliveryError, Producer, Record};

#[derive(Default)]
struct Counts {
    acked: AtomicU64,
    not_acked: AtomicU64,
}

pub(crate) async fn run(brokers: &str, topic: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(brokers.split(',')).build()?;
    let producer = Producer::builder(&client, topic).start().await?;
    let counts = Arc::new(Counts::default());
    for number in 0..1_000 {
        let counts = counts.clone();
        let record = Record::new().key(format!("order-{number}")).value("opened");
        // Callbacks run in this runtime, per partition one after the other: they should be short.
        // Every call that was accepted has its callback called once, whatever happens.
        let call = producer.call(record).callback(move |delivery| {
            match delivery {
                Ok(_ack) => &counts.acked,
                // Stopped, with a queue on disk: the next run sends it.
                Err(DeliveryError::LeftInQueue) => &counts.not_acked,
                Err(error) => {
                    eprintln!("order-{number}: {error}");
                    &counts.not_acked
                }
            }
            .fetch_add(1, Ordering::Relaxed);
        });
        // Waits for room in the queue only. The receipt is another way to learn of the end.
        let _receipt = call.enqueue().await?;
    }
    producer.drain(Duration::from_secs(30)).await?;
    let acked = counts.acked.load(Ordering::Relaxed);
    let not_acked = counts.not_acked.load(Ordering::Relaxed);
    println!("{acked} acknowledged, {not_acked} not");
    if acked + not_acked != 1_000 {
        return Err("a callback is missing".into());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().unwrap_or("localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    run(&brokers, &topic).await
}
