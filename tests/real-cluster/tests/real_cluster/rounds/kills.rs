//! A producer is killed under load and started again on the same queue.

use std::time::Duration;

use wolff_real_cluster::report::Seen;

use super::child::Child;
use super::cluster::{Rounds, print_figures, print_verdict};
use super::random::{Random, rounds};
use crate::nodes::Nodes;

/// The moment of a kill.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So many milliseconds after the process began: while it opens, connects, and sends what is
    /// left.
    Age(u64),
    /// After so many calls were reported as accepted.
    Accepted(u64),
    /// After so many calls were reported to have ended.
    Ended(u64),
    /// After so many records of previous runs were acknowledged.
    Replayed(u64),
    /// So many milliseconds after a clean stop began.
    Stopping(u64),
    /// When it enters a system call for the nth time: see [`CALLS`].
    Call(&'static str, u64),
}

/// System calls that a run is killed at: writes to the queue of one part and of several, requests,
/// and responses.
const CALLS: [&str; 4] = ["pwrite64", "pwritev", "writev", "recvfrom"];

/// Calls after which a run is stopped that was not killed at a system call.
const ENOUGH: u64 = 2_000;

impl Moment {
    fn draw(random: &mut Random) -> Self {
        match random.draw(0..8) {
            0 => Self::Age(random.draw(0..800)),
            1 => Self::Accepted(random.draw(1..3_000)),
            2 => Self::Ended(random.draw(1..3_000)),
            3 => Self::Replayed(random.draw(1..200)),
            4 => Self::Stopping(random.draw(0..20)),
            _ => {
                let call = usize::try_from(random.draw(0..4)).unwrap();
                // Each thread counts its own.
                Self::Call(CALLS[call], random.draw(1..150))
            }
        }
    }

    fn start(self, scene: &mut Rounds, further: &[&str]) -> Child {
        match self {
            Self::Call(call, nth) => scene.start_to_die(further, (call, nth)),
            _ => scene.start(further),
        }
    }

    /// Waits for the moment. Returns whether the run was killed already.
    async fn wait(self, child: &mut Child) -> bool {
        let what = format!("{self:?}");
        if let Self::Call(..) = self {
            return child
                .until_end_or(|seen| seen.accepted_calls >= ENOUGH)
                .await;
        }
        let is_so = |seen: &Seen| match self {
            Self::Age(_) => true,
            Self::Accepted(calls) => seen.accepted_calls >= calls,
            Self::Ended(calls) => seen.ended_calls >= calls,
            // There may be less than that.
            Self::Replayed(records) => {
                let counts = seen.counts;
                let is_over = counts.recovered_items == 0 && seen.ended_calls > 100;
                counts.replayed >= records || is_over
            }
            Self::Stopping(_) | Self::Call(..) => seen.ended_calls >= 100,
        };
        child.until(&what, is_so).await;
        if let Self::Stopping(_) = self {
            child.stop();
            child.until(&what, |seen| seen.is_stopping).await;
        }
        if let Self::Age(millis) | Self::Stopping(millis) = self {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        false
    }
}

/// All that was accepted before a kill is in the log once and in order, and no run says otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_and_repeat_nothing() {
    let Some(nodes) = Nodes::in_peace().await else {
        return;
    };
    let mut random = Random::of_seed();
    let mut scene = Rounds::new(&nodes, "kills").await;
    let (mut at_calls, mut kills) = (0, 0);
    for round in 1..=rounds(2) {
        // One kill, and a run that drains; in every third round further kills while a run replays.
        let killed = if round % 3 == 0 { random.draw(2..5) } else { 1 };
        let mut moments = Vec::new();
        for _ in 0..killed {
            let moment = Moment::draw(&mut random);
            let pause = random.draw(0..4).to_string();
            println!("round {round}: {moment:?}");
            let mut child = moment.start(&mut scene, &["--pause-ms", &pause]);
            at_calls += u64::from(moment.wait(&mut child).await);
            moments.push(moment);
            let run = child.run;
            let seen = match moment {
                Moment::Call(..) => child.ended().await.1,
                _ => child.kill().await,
            };
            scene.must_have(run, &seen);
            kills += u64::from(!seen.has_stopped);
        }
        let counts = scene.drain().await.counts;
        let log = scene.read().await;
        println!("round {round}: replayed {}", counts.replayed);
        assert!(log.is_exact(), "round {round}, {moments:?}: {log:#?}");
        assert_eq!(counts.possibly_duplicated, 0, "round {round}, {moments:?}");
    }
    let verdict = scene.read().await;
    print_verdict(&verdict);
    print_figures(&[("kills", kills), ("of those at system calls", at_calls)]);
}
