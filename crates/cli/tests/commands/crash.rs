//! `kill -9`: what was reported as accepted is delivered by the next run.

use std::io::Write;
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
