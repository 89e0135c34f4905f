//! The demo shows what it says.

use crate::support::{run, wolff};

#[test]
fn everything_arrives_although_broker_and_producer_are_killed() {
    let ended = run(&mut wolff(["demo", "--records", "30000", "--json"]), "").code(0);
    assert_eq!(
        (ended.count("produced"), ended.count("arrived")),
        (30_000, 30_000)
    );
    let faults =
        ["missing", "missing_of_promised", "altered", "out_of_order"].map(|name| ended.count(name));
    assert_eq!(faults, [0; 4]);
    let (outage, promised) = (ended.count("in_topic_at_outage"), ended.count("promised"));
    assert!(
        outage < promised,
        "{outage} {promised}: what was promised was not all delivered"
    );
    assert!(
        (20_000..30_000).contains(&promised),
        "{promised}: killed in the middle"
    );
    assert!(ended.count("arrived_without_input") >= promised);
    for word in [
        "the broker is killed",
        "SIGKILL",
        "the broker is back",
        "without input",
    ] {
        assert!(ended.stderr.contains(word), "{word}");
    }
}

#[test]
fn a_person_gets_a_table() {
    let ended = run(&mut wolff(["demo", "--records", "10000"]), "").code(0);
    assert!(
        ended
            .stdout
            .contains("partition  arrived  out of order  altered"),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stdout
            .contains("10,000 records produced, 0 missing, 0 altered, 0 out of order")
    );
}
