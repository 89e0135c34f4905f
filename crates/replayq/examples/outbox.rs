//! An outbox: what is to be done is written down first, done in batches, and found again after a
//! crash.
//!
//! ```text
//! cargo run -p replayq --example outbox -- /tmp/outbox add "buy milk" "call home"
//! cargo run -p replayq --example outbox -- /tmp/outbox work
//! ```
//!
//! Each batch gets a number, which is durable (as the lease's tag) before anything of it is done. A
//! batch that a crash has cut short comes back with exactly the same items and the same number, so
//! that the receiver can see that it has it already.

use std::error::Error;

use bytes::Bytes;
use replayq::{Config, Durability, Lease, PopLimits, Queue};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(command)) = (arguments.next(), arguments.next()) else {
        return Err("usage: outbox DIRECTORY add TEXT… | outbox DIRECTORY work".into());
    };
    let config = Config::disk(directory).durability(Durability::Fsync {
        max_delay: std::time::Duration::ZERO,
    });
    let (queue, recovery) = Queue::open(config)?;
    for damage in &recovery.damage {
        eprintln!("{damage}");
    }
    match command.as_str() {
        "add" => {
            let texts: Vec<Bytes> = arguments.map(Bytes::from).collect();
            println!("written down as {}", queue.append(&texts)?);
        }
        "work" => {
            let mut number = last_number(&recovery.commit_tag);
            for lease in &recovery.leases {
                println!("again, after a crash:");
                number = number.max(last_number(&lease.tag));
                deliver(
                    &queue,
                    &queue.read_lease(lease.id)?,
                    last_number(&lease.tag),
                )?;
            }
            while let Some(lease) = queue.pop(PopLimits::items(2))? {
                number += 1;
                queue.tag(lease.id, Bytes::copy_from_slice(&number.to_le_bytes()))?;
                deliver(&queue, &lease, number)?;
            }
        }
        other => return Err(format!("there is no command {other:?}").into()),
    }
    queue.close()?;
    Ok(())
}

/// Does what the items say, then takes them off the queue; the number of the last batch stays in
/// the commit.
fn deliver(queue: &Queue, lease: &Lease, number: u64) -> Result<(), Box<dyn Error>> {
    for item in &lease.items {
        println!(
            "batch {number}, item {}: {}",
            item.id,
            String::from_utf8_lossy(&item.payload)
        );
    }
    queue.ack_with_tag(lease.id, Bytes::copy_from_slice(&number.to_le_bytes()))?;
    Ok(())
}

fn last_number(tag: &[u8]) -> u64 {
    tag.try_into().map_or(0, u64::from_le_bytes)
}
