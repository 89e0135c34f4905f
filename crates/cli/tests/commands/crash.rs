//! `kill -9`: what was reported as accepted is delivered by the next run.

use std::io::Write;
use std::path::Path;
use std::thread;

use wolff::client::codec::BrokerId;

use crate::support::{
    Running, accepted, assert_numbered, cluster, directory, numbered, produce, run, values,
    wait_for_accepted,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_reported_survives_kill_9() {
    for is_broker_up in [true, false] {
        let cluster = cluster(1).await;
        if !is_broker_up {
            cluster.kill(BrokerId(1)).await.unwrap();
        }
        let directory = directory();
        let (queue, log) = (directory.path().join("q"), directory.path().join("log"));
        let mut command = produce(&cluster.bootstrap());
        command
            .arg("--queue-dir")
            .arg(&queue)
            .arg("--accepted-log")
            .arg(&log);
        let mut running = Running::start(&mut command);
        let mut input = running.input();
        // It is killed with the input open and records at every stage of their way.
        let writer = thread::spawn(move || {
            let _killed = input.write_all(numbered(400_000).as_bytes());
        });
        wait_for_accepted(&log, 20_000);
        running.kill();
        writer.join().unwrap();
        let reported = *accepted(&log).last().unwrap() as usize;

        if !is_broker_up {
            cluster.revive(BrokerId(1)).await.unwrap();
        }
        let ended = run(
            produce(&cluster.bootstrap())
                .arg("--json")
                .arg("--queue-dir")
                .arg(&queue),
            "",
        )
        .code(0);
        assert_eq!((ended.count("accepted"), ended.count("left")), (0, 0));
        assert_numbered(&values(&cluster, 0), reported);
    }
}

/// Runs `wolff produce` until its log reports so many records, and kills it with the input open.
/// Returns how many were reported.
fn killed_after(brokers: &str, queue: &Path, log: &Path, threshold: u64) -> u64 {
    let mut command = produce(brokers);
    command
        .arg("--queue-dir")
        .arg(queue)
        .arg("--accepted-log")
        .arg(log);
    let mut running = Running::start(&mut command);
    let mut input = running.input();
    let writer = thread::spawn(move || {
        let _killed = input.write_all(numbered(60_000).as_bytes());
    });
    wait_for_accepted(log, threshold);
    running.kill();
    writer.join().unwrap();
    *accepted(log).last().unwrap()
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// `WOLFF_CLI_KILLS` kills; `WOLFF_CLI_SEED` chooses their moments.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_moment_of_a_kill_is_what_was_reported_is_delivered_in_order() {
    let kills = setting("WOLFF_CLI_KILLS").unwrap_or(3);
    let mut dice = setting("WOLFF_CLI_SEED").unwrap_or(1);
    let mut draw = |limit: u64| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % limit
    };
    let (mut reported_records, mut repeated) = (0, 0);
    for _ in 0..kills {
        let cluster = cluster(1).await;
        let directory = directory();
        let (queue, log) = (directory.path().join("q"), directory.path().join("log"));
        let is_broker_up = draw(4) != 0;
        if !is_broker_up {
            cluster.kill(BrokerId(1)).await.unwrap();
        }
        let threshold = 1 + draw(50_000);
        let reported = killed_after(&cluster.bootstrap(), &queue, &log, threshold);
        if !is_broker_up {
            cluster.revive(BrokerId(1)).await.unwrap();
        }
        let mut rest = produce(&cluster.bootstrap());
        rest.arg("--json").arg("--queue-dir").arg(&queue);
        let ended = run(&mut rest, "").code(0);
        assert_eq!((ended.count("accepted"), ended.count("left")), (0, 0));
        repeated += assert_numbered(&values(&cluster, 0), reported as usize);
        reported_records += reported;
    }
    println!("figure processes killed {kills}\nfigure records reported {reported_records}");
    println!("figure delivered again {repeated}");
}
