//! Two producers that share one limit on memory: when one has taken all of it, calls of both wait.
//!
//! `cargo run -p wolff --example shared_budget -- localhost:9092 events`

use std::error::Error;
use std::time::Duration;

use wolff::{Client, MemoryBudget, Producer, Record};

pub(crate) async fn run(brokers: &str, topic: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(brokers.split(',')).build()?;
    // Clones are the same budget.
    let budget = MemoryBudget::new(16 << 20);
    let mut producers = Vec::new();
    for _ in 0..2 {
        let builder = Producer::builder(&client, topic).memory_budget(budget.clone());
        producers.push(builder.start().await?);
    }
    for number in 0..100 {
        for producer in &producers {
            let record = Record::new().value(format!("number {number}"));
            // Waits while the budget is used up, by whichever of them.
            drop(producer.send(record).await?);
        }
    }
    let held = budget.used_bytes();
    println!("{held} of {} bytes are held", budget.limit_bytes());
    for producer in &producers {
        producer.flush(Duration::from_secs(30)).await?;
        producer.stop(Duration::ZERO).await?;
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
