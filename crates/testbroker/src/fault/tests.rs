//! Faults that are drawn from the book.

use super::*;

const CODE: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;

fn orders(partition: i32) -> Target {
    Target {
        topic: Str::from("orders"),
        partition: Some(PartitionId(partition)),
    }
}

fn produce(principal: Option<&str>) -> Asked<'_> {
    Asked {
        broker: BrokerId(1),
        api: ApiKey::PRODUCE,
        principal,
        request_bytes: 3_000,
    }
}

fn draw(book: &mut FaultBook<FaultId, Fault>, targets: &[Target]) -> usize {
    book.draw(&produce(None), targets).drawn.len()
}

#[test]
fn a_fault_hits_after_its_skips_and_as_often_as_it_says() {
    let mut book = FaultBook::<FaultId, Fault>::default();
    book.add(Fault::error(CODE).skip(2).times(3));
    let hits: Vec<usize> = (0..7).map(|_| draw(&mut book, &[])).collect();
    assert_eq!(hits, [0, 0, 1, 1, 1, 0, 0]);
}

#[test]
fn a_lasting_fault_hits_until_it_is_removed() {
    let mut book = FaultBook::<FaultId, Fault>::default();
    let id = book.add(Fault::hold().always());
    assert_eq!((draw(&mut book, &[]), draw(&mut book, &[])), (1, 1));
    assert!(book.remove(id) && !book.remove(id));
    assert_eq!(draw(&mut book, &[]), 0);
}

#[test]
fn a_fault_that_is_used_up_stays_until_it_is_removed() {
    let mut book = FaultBook::<FaultId, Fault>::default();
    let id = book.add(Fault::hold());
    assert_eq!(draw(&mut book, &[]), 1);
    assert!(book.contains(id), "whom it holds waits for its removal");
}

#[test]
fn filters_are_met_all_together() {
    let fits = |fault: Fault, targets: &[Target]| {
        let mut book = FaultBook::<FaultId, Fault>::default();
        book.add(fault);
        draw(&mut book, targets) == 1
    };
    let fault = || Fault::error(CODE);
    assert!(fits(fault(), &[]));
    assert!(fits(fault().broker(BrokerId(1)).api(ApiKey::PRODUCE), &[]));
    assert!(!fits(fault().broker(BrokerId(2)), &[]));
    assert!(!fits(fault().api(ApiKey::FETCH), &[]));
    assert!(fits(fault().topic("orders"), &[orders(0)]));
    assert!(!fits(fault().topic("orders"), &[]));
    assert!(!fits(fault().topic("other"), &[orders(0)]));
    assert!(fits(
        fault().partition("orders", 1),
        &[orders(0), orders(1)]
    ));
    assert!(!fits(
        fault().partition("orders", 2),
        &[orders(0), orders(1)]
    ));
    let whole_topic = Target {
        topic: Str::from("orders"),
        partition: None,
    };
    assert!(!fits(fault().partition("orders", 0), &[whole_topic]));
}

#[test]
fn an_error_is_for_the_partitions_that_its_filter_names() {
    let mut book = FaultBook::<FaultId, Fault>::default();
    book.add(Fault::error(CODE).partition("orders", 1));
    let script = book.draw(&produce(None), &[orders(0), orders(1)]);
    let orders = Str::from("orders");
    assert_eq!(script.error_for_partition(&orders, PartitionId(0)), None);
    assert_eq!(
        script.error_for_partition(&orders, PartitionId(1)),
        Some((CODE, false))
    );
    assert_eq!(script.error_for_topic(&orders), None);
    assert_eq!(script.error(), Some(CODE));
}

#[test]
fn a_denial_and_a_quota_are_for_one_principal_until_they_are_removed() {
    let mut book = FaultBook::<FaultId, Fault>::default();
    let orders = Target {
        topic: Str::from("orders"),
        partition: Some(PartitionId(0)),
    };
    let denial = book.add(Fault::deny_topic("orders").principal("alice"));
    let quota = book.add(Fault::quota(1_000).principal("alice"));
    for _ in 0..3 {
        let script = book.draw(&produce(Some("alice")), std::slice::from_ref(&orders));
        let denied = Some((ErrorCode::TOPIC_AUTHORIZATION_FAILED, false));
        assert_eq!(script.error_for_topic(&orders.topic), denied);
        assert_eq!(script.error_for_topic(&Str::from("bills")), None);
        assert_eq!(script.throttle(), Duration::from_secs(3));
    }
    for other in [None, Some("bob")] {
        let script = book.draw(&produce(other), std::slice::from_ref(&orders));
        assert_eq!(script.error(), None);
        assert_eq!(script.throttle(), Duration::ZERO);
    }
    assert!(book.remove(denial) && book.remove(quota));
    assert_eq!(draw(&mut book, &[orders]), 0);
}
