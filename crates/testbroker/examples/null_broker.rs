//! A broker that acknowledges at once and keeps nothing, as a process of its own, so that it can be
//! pinned to a CPU:
//!
//! `taskset -c 1 cargo run --release --example null_broker -- 127.0.0.1:9092 orders 6`
//!
//! It prints the address that it listens on, then what came in each second in which something came.
#![allow(clippy::disallowed_methods, reason = "examples run in the real world")]

use std::error::Error;
use std::thread;
use std::time::Duration;

use wolff_testbroker::{NullBroker, Received};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "null".to_owned());
    let partitions = arguments.next().map_or(Ok(1), |count| count.parse())?;
    let broker = NullBroker::bind(address, &topic, partitions)?.start();
    println!("{}", broker.address());
    let mut before = Received::default();
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = broker.received();
        if now != before {
            println!(
                "{} requests, {} batches, {} records, {} bytes",
                now.requests - before.requests,
                now.batches - before.batches,
                now.records - before.records,
                now.bytes - before.bytes,
            );
        }
        before = now;
    }
}
