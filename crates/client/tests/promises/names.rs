//! A1: clients by name.

use wolff_client::{Client, Registry, StartError};

use crate::impatience::{client_of, cluster, in_time};

#[tokio::test]
async fn a1_clients_by_name_are_started_found_ensured_stopped_and_deleted_and_need_no_broker_to_start()
 {
    let registry = Registry::new();
    // Lazy: nobody is there, and nobody is looked for.
    let lonely = Client::builder(["no-such-host.invalid:1"]);
    registry.start("lonely", lonely.clone()).unwrap();
    let taken = registry.start("lonely", lonely).unwrap_err();
    assert_eq!(taken, StartError::Taken("lonely".into()));

    let cluster = cluster(1, 1).await;
    let client = registry
        .ensure("orders", || client_of(cluster.bootstrap()))
        .unwrap();
    assert_eq!(cluster.stats().connections_accepted(), 0, "lazy");
    client.check_connectivity().await.unwrap();
    // Idempotent: the same client, and the builder is not even called.
    let never = || unreachable!("there is one");
    let same = registry.ensure("orders", never).unwrap();
    same.check_connectivity().await.unwrap();
    registry.find("orders").unwrap().topic("t").await.unwrap();
    assert_eq!(cluster.stats().connections_accepted(), 1, "all are one");
    assert_eq!(registry.names(), ["lonely", "orders"]);

    assert!(registry.stop_and_delete("orders").await);
    assert!(!registry.stop_and_delete("orders").await);
    assert!(registry.find("orders").is_none());
    assert!(client.topic("t").await.is_err(), "closed for everybody");
    in_time(cluster.wait_for(|stats| stats.connections_open() == 0)).await;
}
