//! Randomness comes from the seed of the environment, and time from the runtime's clock.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use wolff_client::{Address, Client, Dial, DialFuture, Environment, HostReason};

/// A network without brokers, which records when it was dialled.
#[derive(Clone, Debug)]
struct Nobody {
    start: Instant,
    dialled: Arc<Mutex<Vec<Duration>>>,
}

impl Dial for Nobody {
    fn dial<'a>(&'a self, _address: &'a Address) -> DialFuture<'a> {
        self.dialled.lock().unwrap().push(self.start.elapsed());
        Box::pin(std::future::ready(Err(HostReason::Refused)))
    }
}

/// The times at which a client with this seed dials, that is its jitter.
fn dialled_at(seed: u64) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let network = Nobody {
            start: Instant::now(),
            dialled: Arc::default(),
        };
        let environment = Environment::default().dialer(network.clone()).seed(seed);
        let client = Client::builder(["one", "two"])
            .environment(environment)
            .build()
            .unwrap();
        for _ in 0..10 {
            client.topic("t").await.unwrap_err();
        }
        let dialled = network.dialled.lock().unwrap();
        dialled.clone()
    })
}

#[test]
fn a_client_with_the_same_seed_dials_at_the_same_times() {
    let dialled = dialled_at(1);
    assert!(dialled.len() >= 20, "{} times", dialled.len());
    assert_eq!(dialled, dialled_at(1));
    assert_ne!(dialled, dialled_at(2));
}
