//! The embedded broker as a process.

use std::io::{BufRead, BufReader};

use crate::support::{Running, Signal, produce, run, wolff};

#[test]
fn a_broker_serves_its_topics_until_it_is_told_to_stop() {
    let mut command = wolff([
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--topic",
        "lines:2",
        "--topic",
        "more:1",
    ]);
    let mut broker = Running::start(&mut command);
    let mut said = BufReader::new(broker.child().stdout.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let address = first.strip_prefix("listening on ").unwrap();
    let ended = run(produce(address).arg("--json"), "a\nb\n").code(0);
    assert_eq!(ended.count("acked"), 2);
    let ended = run(&mut wolff(["topic", "list", "--brokers", address]), "").code(0);
    assert_eq!(
        ended.stdout,
        "topic  partitions\nlines           2\nmore            1\n"
    );
    broker.signal(Signal::Terminate);
    broker.ended().code(0);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let mut command = wolff(["broker", "--listen", "127.0.0.1:0"]);
    let mut broker = Running::start(&mut command);
    let mut said = BufReader::new(broker.child().stdout.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let address = first.strip_prefix("listening on ").unwrap();
    run(&mut wolff(["broker", "--listen", address]), "")
        .code(1)
        .says([address, "in use"]);
}

#[test]
fn help_says_what_the_broker_has_not() {
    let ended = run(&mut wolff(["broker", "--help"]), "").code(0);
    let help = ended
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for missing in [
        "no consumer groups",
        "no transactions",
        "no ACLs",
        "no quotas",
        "no compaction",
        "one replica",
        "neither TLS nor authentication",
        "in memory: they are gone when it stops",
    ] {
        assert!(help.contains(missing), "{missing:?} in {help}");
    }
}
