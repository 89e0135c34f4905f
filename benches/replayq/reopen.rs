//! Opening a queue with a backlog of 2 GiB beside the time to read it: P5, second half. After a
//! close, after a kill, and with items acked in every segment and left in every segment. And the
//! memory that such a queue takes.

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use replayq::{Config, Queue};

use crate::Settings;
use crate::process::Helper;
use crate::race::{Runner, print_ratio, race};

pub(crate) fn run(settings: &Settings) {
    let bytes: u64 = if settings.is_quick {
        256 << 20
    } else {
        2 << 30
    };
    for (task, name) in [
        ("fill-and-close", "close"),
        ("fill", "kill"),
        ("fill-and-thin", "acks_out_of_order"),
    ] {
        let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
        let directory = room.path().join("queue");
        let (helper, peak) = Helper::run(task, &directory, bytes);
        helper.kill();
        println!("a backlog of {} MiB, after {name}", bytes >> 20);
        println!("  memory while it was filled: {:.1} MiB", mib(peak));
        // The first open after a kill finds a segment without a seal: this one counts, and there is
        // only one of it.
        let first = open(&directory);
        println!("  the first open: {:.2} ms", first.as_secs_f64() * 1e3);
        let runners: Vec<Runner<'_>> = vec![
            ("open", Box::new(|| open(&directory).into())),
            ("read all files", Box::new(|| read(&directory).into())),
        ];
        let outcomes = race(runners, 5);
        for outcome in outcomes.iter().map(|result| result.wall) {
            println!(
                "  {:<34} {:>9.2} ms ({:.2} … {:.2})",
                outcome.name,
                outcome.median.as_secs_f64() * 1e3,
                outcome.min.as_secs_f64() * 1e3,
                outcome.max.as_secs_f64() * 1e3
            );
        }
        println!(
            "  the first open is {:.4} of reading all",
            first.as_secs_f64() / outcomes[1].wall.median.as_secs_f64()
        );
        print_ratio(
            &format!("replayq_reopen_after_{name}_vs_read"),
            &outcomes[0],
            &outcomes[1],
        );
        let (helper, peak) = Helper::run("drain", &directory, 0);
        helper.kill();
        println!("  memory while it was drained: {:.1} MiB", mib(peak));
        wolff_benches::print_ratio(&format!("replayq_drain_memory_after_{name}_mib"), mib(peak));
    }
}

/// Opens and lets go, as a process that dies does: nothing that makes the next open quicker.
fn open(directory: &Path) -> Duration {
    let start = Instant::now();
    let (queue, recovery) = Queue::open(Config::disk(directory)).expect("a queue");
    let time = start.elapsed();
    assert!(recovery.items > 0 && recovery.damage.is_empty());
    drop(queue);
    time
}

fn read(directory: &Path) -> Duration {
    let start = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let mut file = std::fs::File::open(entry.expect("an entry").path()).expect("a file");
        loop {
            match file.read(&mut buffer).expect("a read") {
                0 => break,
                read => total += read,
            }
        }
    }
    assert!(total > 0);
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
