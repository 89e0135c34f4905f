//! Contenders that time themselves, taking turns: what a round has to prepare and to clear away
//! does not count.

use std::time::{Duration, Instant};

use wolff_benches::Outcome;

/// Cost of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lap {
    wall: Duration,
    /// Of the processor, in this thread: what others do on the machine hardly shows in it. None
    /// where other threads did the work.
    cpu: Option<Duration>,
}

impl Lap {
    pub(crate) fn wall(self) -> Duration {
        self.wall
    }
}

impl From<Duration> for Lap {
    fn from(wall: Duration) -> Self {
        Self { wall, cpu: None }
    }
}

/// Times the work of this thread.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        // The wall's clock is the inner one: it costs less to read.
        let cpu = thread_cpu();
        Self {
            cpu,
            wall: Instant::now(),
        }
    }

    pub(crate) fn stop(&self) -> Lap {
        Lap {
            wall: self.wall.elapsed(),
            cpu: Some(thread_cpu().saturating_sub(self.cpu)),
        }
    }
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

/// One of those that do the same work: its name, and one round of the work.
pub(crate) type Runner<'a> = (&'static str, Box<dyn FnMut() -> Lap + 'a>);

/// Results of one contender in all rounds.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) wall: Outcome,
    pub(crate) cpu: Option<Outcome>,
}

/// Lets all take turns, once to warm up and then for some rounds; the results are in their order.
pub(crate) fn race(mut runners: Vec<Runner<'_>>, rounds: usize) -> Vec<Result> {
    let mut laps: Vec<Vec<Lap>> = runners.iter().map(|_| Vec::new()).collect();
    // Twice: what is recycled in the second round was new in the first.
    for _ in 0..2 {
        for (_, run) in &mut runners {
            let _warm = run();
        }
    }
    for _ in 0..rounds.max(3) {
        for ((_, run), laps) in runners.iter_mut().zip(&mut laps) {
            laps.push(run());
        }
    }
    runners
        .iter()
        .zip(&laps)
        .map(|((name, _), laps)| {
            let cpu: Option<Vec<Duration>> = laps.iter().map(|lap| lap.cpu).collect();
            Result {
                wall: outcome(
                    name,
                    &mut laps.iter().map(|lap| lap.wall).collect::<Vec<_>>(),
                ),
                cpu: cpu.map(|mut times| outcome(name, &mut times)),
            }
        })
        .collect()
}

/// Minimum, median and maximum of some times.
pub(crate) fn outcome(name: &'static str, times: &mut [Duration]) -> Outcome {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    Outcome {
        name,
        min: at(0),
        median: at(times.len() / 2),
        max: at(times.len().saturating_sub(1)),
    }
}

/// Prints what each did with so many items and bytes in a round.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn print(title: &str, items: usize, bytes: usize, results: &[Result]) {
    println!("{title}: median (min … max), and of the processor alone");
    for result in results {
        let nanos = |time: Duration| time.as_secs_f64() * 1e9 / items as f64;
        let rate = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e6;
        let Outcome {
            name,
            min,
            median,
            max,
        } = result.wall;
        let cpu = result.cpu.map_or(String::new(), |cpu| {
            format!(
                "  cpu {:.1} ns ({:.1} … {:.1})",
                nanos(cpu.median),
                nanos(cpu.min),
                nanos(cpu.max)
            )
        });
        println!(
            "  {name:<34} {:>9.1} ns/item ({:.1} … {:.1}) {:>6.0} MB/s{cpu}",
            nanos(median),
            nanos(min),
            nanos(max),
            rate(median)
        );
    }
}

/// Prints the ratio of the medians: of the time on the wall, and of the processor's where both have
/// it.
pub(crate) fn print_ratio(name: &str, ours: &Result, other: &Result) {
    let of = |left: Duration, right: Duration| right.as_secs_f64() / left.as_secs_f64();
    let line = |name: &str, ours: &Outcome, other: &Outcome| {
        println!(
            "  ({name}: between {:.2} and {:.2})",
            of(ours.max, other.min),
            of(ours.min, other.max)
        );
        wolff_benches::print_ratio(name, ours.speed_relative_to(other));
    };
    line(name, &ours.wall, &other.wall);
    if let (Some(ours), Some(other)) = (&ours.cpu, &other.cpu) {
        line(&format!("{name}_cpu"), ours, other);
    }
}
