//! Examples whose calls fail: they end, and say why.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::sync::Arc;

use replayq::vfs::sim::{Fault, FaultKind, SimVfs};
use replayq::{Config, Durability, Queue};

#[path = "../examples/workers.rs"]
#[expect(dead_code, reason = "its main opens a queue of the real world")]
mod workers;

fn open(vfs: &SimVfs) -> Queue {
    let config = Config::disk("/jobs").durability(Durability::Fsync {
        max_delay: std::time::Duration::ZERO,
    });
    Queue::open(config.vfs(Arc::new(vfs.clone()))).unwrap().0
}

fn fail_from(vfs: &SimVfs, call: u64) {
    vfs.inject(Fault {
        call: vfs.calls() + call,
        for_ever: true,
        kind: FaultKind::Error(5),
    });
}

#[test]
fn workers_do_all_jobs_those_that_were_left_too() {
    let queue = open(&SimVfs::new());
    queue.append(&["left".into(), "left".into()]).unwrap();
    assert_eq!(workers::run(&queue, 2, 20).unwrap(), 22);
    assert_eq!(queue.count(), 0);
    queue.close().unwrap();
}

/// They waited for jobs that were never appended.
#[test]
fn workers_end_when_an_append_fails() {
    for call in [0, 1, 3, 10, 30] {
        let vfs = SimVfs::new();
        let queue = open(&vfs);
        fail_from(&vfs, call);
        assert!(workers::run(&queue, 0, 100).is_err(), "from call {call} on");
    }
}

/// They waited for jobs that were done without being counted.
#[test]
fn workers_end_when_an_ack_fails() {
    let vfs = SimVfs::new();
    let queue = open(&vfs);
    queue.append(&["left".into(), "left".into()]).unwrap();
    fail_from(&vfs, 0);
    assert!(workers::run(&queue, 2, 0).is_err());
}
