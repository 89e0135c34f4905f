//! A client and brokers in one thread, on a network in memory, under a paused clock: the same seed
//! gives the same run.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wolff_client::codec::messages::InitProducerIdRequest;
use wolff_client::codec::{ApiKey, PartitionId};
use wolff_client::{Address, BoxStream, Client, Dial, DialFuture, Environment, HostReason};
use wolff_testbroker::{Cluster, Fault, MemoryNetwork};

/// Events with their virtual time.
#[derive(Clone, Debug)]
struct Trace {
    start: Instant,
    events: Arc<Mutex<Vec<(Duration, String)>>>,
}

impl Trace {
    fn note(&self, event: impl Into<String>) {
        let event = (self.start.elapsed(), event.into());
        self.events.lock().unwrap().push(event);
    }
}

/// Dials the network's brokers.
#[derive(Debug)]
struct Dialer {
    network: MemoryNetwork,
    trace: Trace,
}

impl Dial for Dialer {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        let connected = self.network.connect(address.host(), address.port());
        self.trace
            .note(format!("dial {address}: {}", connected.is_ok()));
        let connected = connected
            .map(|stream| Box::new(stream) as BoxStream)
            .map_err(|_| HostReason::Refused);
        Box::pin(std::future::ready(connected))
    }
}

/// One client asks the leaders of a few partitions, again and again, while brokers die, answers are
/// late and leaders move.
fn run(seed: u64) -> Vec<(Duration, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let network = MemoryNetwork::new().pipe_bytes(100);
        let cluster = Cluster::builder()
            .network(&network)
            .brokers(3)
            .topic("t", 3)
            .cluster_id("memory")
            .start_time_ms(0)
            .start();
        let cluster = cluster.await.unwrap();
        let trace = Trace {
            start: Instant::now(),
            events: Arc::default(),
        };
        let dialer = Dialer {
            network,
            trace: trace.clone(),
        };
        let environment = Environment::default().dialer(dialer).seed(seed);
        let client = Client::builder([cluster.bootstrap()]).environment(environment);
        let client = client.build().unwrap();
        cluster.inject(
            Fault::drop_answer()
                .api(ApiKey::INIT_PRODUCER_ID)
                .skip(4)
                .times(3),
        );
        cluster.inject(
            Fault::delay(Duration::from_millis(700))
                .api(ApiKey::METADATA)
                .skip(1)
                .times(2),
        );
        for round in 0..20 {
            for partition in 0..3 {
                let leader = client.leader_connection("t", PartitionId(partition)).await;
                let outcome = match &leader {
                    Ok(leader) => {
                        let question = InitProducerIdRequest::default();
                        let answer = leader.connection.request(&question).await;
                        format!(
                            "{} {:?}",
                            leader.broker,
                            answer.map(|answer| answer.producer_id)
                        )
                    }
                    Err(error) => error.to_string(),
                };
                trace.note(format!("round {round}, partition {partition}: {outcome}"));
            }
            match round {
                4 => cluster.kill(2).await.unwrap(),
                8 => cluster.revive(2).await.unwrap(),
                12 => cluster.move_leader("t", 0, 2).unwrap(),
                _ => sleep(Duration::from_millis(40)).await,
            }
        }
        client.close().await;
        trace.note(format!("{:?}", cluster.stats()));
        let events = trace.events.lock().unwrap();
        events.clone()
    })
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// `WOLFF_CLIENT_CASES` seeds, of which `WOLFF_CLIENT_SEED` chooses the first.
#[test]
fn a_client_and_brokers_in_memory_do_the_same_with_the_same_seed() {
    let events = run(1);
    let refused = |(_, event): &&(Duration, String)| event.ends_with("false");
    assert!(events.iter().filter(refused).count() > 0, "{events:#?}");
    let count = number("WOLFF_CLIENT_CASES").unwrap_or(5);
    let begin = 1 + number("WOLFF_CLIENT_SEED").unwrap_or(0) * count;
    let runs: BTreeSet<_> = (begin..begin + count)
        .map(|seed| {
            let events = run(seed);
            assert!(events == run(seed), "seed {seed}");
            events
        })
        .collect();
    println!("figure runs {count}\nfigure different runs {}", runs.len());
    assert!(runs.len() > 1, "brokers are tried in the order of the seed");
}
