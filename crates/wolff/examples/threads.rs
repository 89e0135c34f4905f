//! A producer for plain threads: they block, and need to know nothing of async.
//!
//! `cargo run -p wolff --example threads -- localhost:9092 events`

use std::error::Error;
use std::thread;
use std::time::Duration;

use wolff::{Client, Producer, Record};

pub(crate) fn run(brokers: &str, topic: &str) -> Result<(), Box<dyn Error>> {
    // The producer's own tasks run here; no other thread of the program enters it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let client = Client::builder(brokers.split(',')).build()?;
    let started = runtime.block_on(Producer::builder(&client, topic).start())?;
    let producer = started.blocking();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let producer = producer.clone();
                scope.spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
                    let mut receipts = Vec::new();
                    for number in 0..100 {
                        let value = format!("worker {worker}, number {number}");
                        // Blocks until the record is queued.
                        receipts.push(producer.send(Record::new().value(value))?);
                    }
                    for receipt in receipts {
                        receipt.wait(Duration::from_secs(30))?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err("a worker panicked".into()))
        })
    })
    .map_err(|error: Box<dyn Error + Send + Sync>| -> Box<dyn Error> { error })?;
    let left = producer.drain(Duration::from_secs(30))?;
    println!("{} acknowledged, {left:?}", producer.stats().acked);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().unwrap_or("localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or("events".to_owned());
    run(&brokers, &topic)
}
