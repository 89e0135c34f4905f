//! Sessions that end every few seconds (`connections.max.reauth.ms`), under load (KIP-368).

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::load::Load;
use crate::nodes::{Listener, Nodes, load_time, mechanisms, session};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_every_mechanism_are_renewed_under_load_without_losing_or_reordering_a_request()
{
    let Some(nodes) = Nodes::in_peace().await else {
        return;
    };
    // Whoever does not renew is disconnected after one session; this is more than two.
    let time = load_time(session() * 5 / 2);
    let mut loads = Vec::new();
    for (sasl, logins) in mechanisms() {
        let name = sasl.mechanism_name().to_owned();
        let topic = nodes.topic("sessions", 1).await;
        let client = nodes.client(Listener::SaslTls).sasl(sasl).build().unwrap();
        loads.push(tokio::spawn(async move {
            let mut load = Load::new(&client, &topic).await;
            let before = logins.load(Ordering::Relaxed);
            let begin = Instant::now();
            load.run_for(time).await.unwrap();
            let renewals = logins.load(Ordering::Relaxed) - before;
            // The client outlives the load: its connection for metadata is renewed as well.
            (client, name, load, renewals, begin.elapsed())
        }));
    }
    for load in loads {
        let (_client, name, load, renewals, took) = load.await.unwrap();
        let sessions = usize::try_from(took.as_secs() / session().as_secs()).unwrap();
        assert!(renewals >= sessions, "{name}: {renewals} in {took:?}");
        let records = load.finish(&nodes).await;
        println!("{name}: {records} requests in {took:.1?}, {renewals} renewals");
    }
}
