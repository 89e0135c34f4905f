//! The line that moves while a person watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use wolff::{Producer, ProducerStats};

use super::refusals::Refusals;
use crate::console;

/// Interval at which it moves.
const TICK: Duration = Duration::from_millis(100);

/// Shows how it goes, where stderr is a terminal; elsewhere it does nothing.
pub(super) struct Progress {
    shown: Option<(ProgressBar, JoinHandle<()>)>,
    is_draining: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn start(producer: &Producer) -> Self {
        let is_draining = Arc::new(AtomicBool::new(false));
        let shown = console::is_watched().then(|| {
            let bar = ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner} {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            let bar = console::show_bar(bar);
            let moving = move_bar(bar.clone(), producer.clone(), is_draining.clone());
            (bar, tokio::spawn(moving))
        });
        Self { shown, is_draining }
    }

    /// The input has ended.
    pub(super) fn draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn finish(self) {
        if let Some((bar, task)) = self.shown {
            task.abort();
            bar.finish_and_clear();
        }
    }
}

async fn move_bar(bar: ProgressBar, producer: Producer, is_draining: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(TICK);
    let mut rate = Rate::default();
    loop {
        ticks.tick().await;
        let stats = producer.stats();
        let per_second = rate.update(Instant::now(), stats.acked + stats.replayed);
        let phase = if is_draining.load(Ordering::Relaxed) {
            "draining: "
        } else {
            ""
        };
        bar.set_message(format!("{phase}{}", describe(&stats, per_second)));
        bar.tick();
    }
}

fn describe(stats: &ProducerStats, per_second: u64) -> String {
    let brokers = match (stats.connected_partitions, stats.partitions) {
        (0, _) => "no broker reached, queueing".to_owned(),
        (connected, all) if connected == all => "connected".to_owned(),
        (connected, all) => format!("{connected} of {all} partitions connected"),
    };
    let replayed = match stats.replayed {
        0 => String::new(),
        count => format!(" · {} replayed", HumanCount(count)),
    };
    let refused = Refusals::of(stats).codes();
    let refused = refused.map_or_else(String::new, |codes| format!(" · refused with {codes}"));
    format!(
        "{} records · {} acked{replayed} · {}/s · {} queued · {} in flight · {brokers}{refused}",
        HumanCount(stats.accepted),
        HumanCount(stats.acked),
        HumanCount(per_second),
        HumanCount(stats.queued),
        HumanCount(stats.in_flight),
    )
}

/// Records per second, over about the last second.
#[derive(Debug, Default)]
struct Rate {
    /// One measurement per tick, the oldest first.
    seen: std::collections::VecDeque<(Instant, u64)>,
}

impl Rate {
    const SPAN: Duration = Duration::from_secs(1);

    fn update(&mut self, now: Instant, count: u64) -> u64 {
        self.seen.push_back((now, count));
        while let Some((_, (second, _))) = self.seen.front().zip(self.seen.get(1))
            && now.duration_since(*second) >= Self::SPAN
        {
            self.seen.pop_front();
        }
        let Some((since, before)) = self.seen.front() else {
            return 0;
        };
        let millis = now.duration_since(*since).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        let records = count.saturating_sub(*before).saturating_mul(1000);
        records.checked_div(millis).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let start = Instant::now();
        let at = |tenths: u32| start + TICK * tenths;
        let mut rate = Rate::default();
        assert_eq!(rate.update(at(0), 0), 0);
        assert_eq!(rate.update(at(1), 100), 1000);
        for tenths in 2..30 {
            rate.update(at(tenths), 100);
        }
        assert_eq!(
            rate.update(at(30), 100),
            0,
            "what was long ago is forgotten"
        );
        assert_eq!(rate.update(at(31), 600), 500);
    }
}
