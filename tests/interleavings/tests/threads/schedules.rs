//! Which schedules are tried: all with a few preemptions, or many by chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, MaxSteps, Runner};

/// Result of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) schedules: u64,
    pub(crate) steps: u64,
    /// No schedule within the bound is left.
    pub(crate) is_exhausted: bool,
}

/// Mode of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Search {
    /// All schedules in which a thread that could go on is put off so many times at most; the first
    /// so many of them.
    Exhaustive { preemptions: usize, most: u64 },
    /// So many by chance, half of them with a thread chosen anew at each step, half by priorities
    /// that change a few times.
    Random { seed: u64, schedules: usize },
}

impl Search {
    /// Runs the scenario in all these schedules. Panics in the first one in which it does.
    pub(crate) fn run(self, scenario: impl Fn() + Send + Sync + Clone + 'static) -> Figures {
        match self {
            Self::Exhaustive { preemptions, most } => {
                let (schedules, steps) = run(Bounded::new(preemptions, most), scenario);
                Figures {
                    schedules,
                    steps,
                    is_exhausted: schedules < most,
                }
            }
            Self::Random { seed, schedules } => {
                let half = schedules.div_ceil(2);
                let one = run(RandomScheduler::new_from_seed(seed, half), scenario.clone());
                let other = run(PctScheduler::new_from_seed(seed, 4, half), scenario);
                Figures {
                    schedules: one.0 + other.0,
                    steps: one.1 + other.1,
                    is_exhausted: false,
                }
            }
        }
    }
}

fn run(
    scheduler: impl Scheduler + Send + 'static,
    scenario: impl Fn() + Send + Sync + 'static,
) -> (u64, u64) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.max_steps = MaxSteps::FailAfter(1_000_000);
    config.silence_warnings = true;
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        scheduler,
        steps: Arc::clone(&steps),
    };
    let schedules = Runner::new(counted, config).run(scenario);
    (schedules as u64, steps.load(Ordering::Relaxed))
}

/// Counts the steps of another scheduler.
struct Counted<S> {
    scheduler: S,
    steps: Arc<AtomicU64>,
}

impl<S: Scheduler> Scheduler for Counted<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.scheduler.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.scheduler.next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}

/// A choice made at one step: which of how many.
#[derive(Clone, Copy, Debug)]
struct Choice {
    taken: usize,
    options: usize,
}

/// Depth-first search of all schedules with at most so many preemptions.
struct Bounded {
    preemptions: usize,
    most: u64,
    tried: u64,
    path: Vec<Choice>,
    step: usize,
    spent: usize,
}

impl Bounded {
    fn new(preemptions: usize, most: u64) -> Self {
        Self {
            preemptions,
            most,
            tried: 0,
            path: Vec::new(),
            step: 0,
            spent: 0,
        }
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.tried > 0 {
            while self
                .path
                .last()
                .is_some_and(|choice| choice.taken + 1 >= choice.options)
            {
                self.path.pop();
            }
            self.path.last_mut()?.taken += 1;
        }
        if self.tried >= self.most {
            return None;
        }
        self.tried += 1;
        (self.step, self.spent) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        _is_yielding: bool,
    ) -> Option<TaskId> {
        // The current one first: all others in its place are preemptions.
        let mut tasks: Vec<TaskId> = runnable.iter().map(|task| task.id()).collect();
        let goes_on = current.and_then(|current| tasks.iter().position(|task| *task == current));
        if let Some(at) = goes_on {
            tasks[..=at].rotate_right(1);
        }
        let may_preempt = goes_on.is_none() || self.spent < self.preemptions;
        let options = if may_preempt { tasks.len() } else { 1 };
        let choice = match self.path.get(self.step) {
            Some(choice) => *choice,
            None => {
                let choice = Choice { taken: 0, options };
                self.path.push(choice);
                choice
            }
        };
        assert_eq!(
            choice.options, options,
            "the scenario does not do the same again"
        );
        self.step += 1;
        self.spent += usize::from(goes_on.is_some() && choice.taken > 0);
        tasks.get(choice.taken).copied()
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}
