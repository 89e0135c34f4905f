//! `cargo xtask soak NAME`: a test engine of the workspace for as long as somebody likes, seed by
//! seed.
//!
//! What was run is appended to RELIABILITY.md, with its date, command and counts. The next seed of
//! each engine is kept in the target directory, so that a run that was ended goes on where it was.
//! An engine may print lines `figure <name> <number>`, which are added up.

mod mutations;

mod page;

mod engines;

use crate::failure::{Context as _, Failure};
use crate::program;
use crate::real_kafka::RealKafka;
use crate::workspace;
use clap::Args;
use engines::{ENGINES, Engine, Kind};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Nodes of a real Kafka.
const NODES: u16 = 3;

/// Minutes where neither seeds nor minutes are given.
const DEFAULT_MINUTES: u64 = 10;

/// Which engine, and how long.
#[derive(Args, Debug)]
#[command(after_help = format!("Engines:\n{}", list()))]
pub(crate) struct SoakArguments {
    /// The engine; without one, all are listed.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Seeds from the first to before the second. By default it goes on where it was ended.
    #[arg(long, value_name = "FROM..TO", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// No new seed is begun after so many minutes. Default: 10, or no limit where seeds are
    /// given.
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Cases or rounds of each seed, where the engine has them.
    #[arg(long, value_name = "N", visible_alias = "rounds")]
    cases: Option<u64>,
    /// Writes nothing to RELIABILITY.md.
    #[arg(long)]
    dry: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| {
        let range = from.parse().ok()?..to.parse().ok()?;
        (range.start < range.end).then_some(range)
    });
    range.ok_or_else(|| "two numbers, the lower one first, as in 1..1000".to_owned())
}

/// All engines, one a line.
fn list() -> String {
    let engines = ENGINES.iter().map(|engine| (engine.name, engine.about));
    engines
        .chain([("mutations", mutations::ABOUT)])
        .fold(String::new(), |list, (name, about)| {
            list + &format!("  {name:24} {about}\n")
        })
}

/// Runs an engine. A seed that finds something ends it.
pub(crate) fn run(arguments: &SoakArguments) -> Result<(), Failure> {
    let Some(name) = &arguments.name else {
        print!("{}", list());
        return Ok(());
    };
    if name == "mutations" {
        return mutations::run(arguments.dry);
    }
    let Some(engine) = ENGINES.iter().find(|engine| engine.name == name) else {
        let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name).collect();
        return Err(Failure::new(format!("there is no engine called `{name}`"))
            .advise(format!("There are: {}.", names.join(", "))));
    };
    let progress = Progress::of(engine)?;
    let range = match &arguments.seeds {
        Some(range) => range.clone(),
        None => progress.next()?..u64::MAX,
    };
    let minutes = match (arguments.minutes, &arguments.seeds) {
        (None, Some(_)) => None,
        (minutes, _) => Some(minutes.unwrap_or(DEFAULT_MINUTES)),
    };
    let mut tally = Tally::new(range.start);
    program::run(&mut engine.build())?;
    let environment = Environment::of(engine)?;
    let result = tally.run(
        engine,
        &environment,
        range,
        minutes,
        arguments.cases,
        |next| {
            if arguments.seeds.is_none() {
                progress.keep(next)
            } else {
                Ok(())
            }
        },
    );
    environment.end();
    let line = tally.line(engine, arguments.cases, result.is_err());
    println!("{line}");
    if !arguments.dry {
        page::append(&line)?;
    }
    result
}

/// Environment of an engine.
struct Environment {
    kafka: Option<RealKafka>,
    variables: Vec<(String, OsString)>,
}

impl Environment {
    fn of(engine: &Engine) -> Result<Self, Failure> {
        if !engine.needs_kafka() {
            return Ok(Self {
                kafka: None,
                variables: Vec::new(),
            });
        }
        let kafka = RealKafka::provide(NODES);
        let mut variables = match &kafka {
            RealKafka::Ready { environment, .. } => environment.clone(),
            RealKafka::Absent { reason, .. } => {
                return Err(Failure::new(format!("no real Kafka: {reason}")));
            }
        }
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect::<Vec<_>>();
        let program = std::env::current_exe().context("cannot find this program")?;
        variables.push(("WOLFF_XTASK".to_owned(), program.into()));
        Ok(Self {
            kafka: Some(kafka),
            variables,
        })
    }

    fn end(self) {
        if let Some(kafka) = self.kafka {
            kafka.stop();
        }
    }
}

/// Where an engine goes on the next time.
struct Progress(PathBuf);

impl Progress {
    fn of(engine: &Engine) -> Result<Self, Failure> {
        let directory = workspace::target_directory()?.join("soak");
        std::fs::create_dir_all(&directory).context(format!("making {}", directory.display()))?;
        Ok(Self(directory.join(engine.name)))
    }

    fn next(&self) -> Result<u64, Failure> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => text
                .trim()
                .parse()
                .context(format!("reading {}", self.0.display())),
            Err(_) => Ok(1),
        }
    }

    fn keep(&self, next: u64) -> Result<(), Failure> {
        std::fs::write(&self.0, next.to_string()).context(format!("writing {}", self.0.display()))
    }
}

/// Counts of a run.
struct Tally {
    first: u64,
    seeds: u64,
    seconds: u64,
    figures: BTreeMap<String, u64>,
}

impl Tally {
    fn new(first: u64) -> Self {
        Self {
            first,
            seeds: 0,
            seconds: 0,
            figures: BTreeMap::new(),
        }
    }

    fn run(
        &mut self,
        engine: &Engine,
        environment: &Environment,
        range: Range<u64>,
        minutes: Option<u64>,
        cases: Option<u64>,
        keep: impl Fn(u64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let limit = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        let is_over = || limit.is_some_and(|limit| begun.elapsed() >= limit);
        let mut result = Ok(());
        for seed in range {
            if is_over() {
                break;
            }
            let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
            println!("{}, seed {seed}", engine.name);
            result = self.run_seed(engine, environment, seed, cases, left);
            if result.is_err() {
                break;
            }
            self.seeds = self.seeds.saturating_add(1);
            keep(seed.saturating_add(1))?;
            if matches!(engine.kind, Kind::Fuzz { .. }) {
                // One run takes all of the time.
                break;
            }
        }
        self.seconds = begun.elapsed().as_secs();
        result
    }

    fn run_seed(
        &mut self,
        engine: &Engine,
        environment: &Environment,
        seed: u64,
        cases: Option<u64>,
        left: Option<Duration>,
    ) -> Result<(), Failure> {
        let mut command = engine.command(seed, cases, left);
        let variables = environment.variables.iter();
        command.envs(variables.map(|(name, value)| (name, value)));
        let figures = &mut self.figures;
        let mut output = Vec::new();
        let status = program::stream(&mut command, |line| {
            if let Some((name, number)) = figure(line) {
                let sum = figures.entry(name.to_owned()).or_default();
                *sum = sum.saturating_add(number);
            }
            output.push(line.to_owned());
        })?;
        if status.success() {
            let is_idle = !matches!(engine.kind, Kind::Fuzz { .. })
                && output.iter().filter_map(|line| passed(line)).sum::<u64>() == 0;
            return if is_idle {
                Err(Failure::new(format!("{} has run no test", engine.name))
                    .advise("Its program or its filters in xtask/src/soak/engines.rs name none."))
            } else {
                Ok(())
            };
        }
        for line in &output {
            println!("{line}");
        }
        let again = format!(
            "cargo xtask soak {} --seeds {seed}..{}{}",
            engine.name,
            seed.saturating_add(1),
            cases.map_or_else(String::new, |cases| format!(" --cases {cases}")),
        );
        Err(
            Failure::new(format!("seed {seed} of {} found something", engine.name))
                .advise(format!("Again: {again}")),
        )
    }

    /// A row of the page.
    fn line(&self, engine: &Engine, cases: Option<u64>, has_failed: bool) -> String {
        let mut counts: Vec<String> = Vec::new();
        if let Some(cases) = cases.or(engine.cases()) {
            let what = if engine.needs_kafka() {
                "rounds"
            } else {
                "cases"
            };
            counts.push(format!("{cases} {what} each"));
        }
        for (name, number) in &self.figures {
            counts.push(format!("{name} {number}"));
        }
        let last = self.first.saturating_add(self.seeds);
        format!(
            "| {} | `cargo xtask soak {} --seeds {}..{last}` | {} seeds in {} s | {} | {} |",
            page::today(),
            engine.name,
            self.first,
            self.seeds,
            self.seconds,
            counts.join(", "),
            if has_failed {
                format!("seed {last} found something")
            } else {
                "none".to_owned()
            },
        )
    }
}

/// A line `figure <name> <number>`; the name may have spaces.
fn figure(line: &str) -> Option<(&str, u64)> {
    let (name, number) = line.trim().strip_prefix("figure ")?.rsplit_once(' ')?;
    Some((name, number.parse().ok()?))
}

/// The number of tests that a program has passed, of the line in which it says so.
fn passed(line: &str) -> Option<u64> {
    let (_, rest) = line.trim().split_once("test result: ok. ")?;
    rest.split_once(" passed")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_lines_and_seeds_from_ranges() {
        assert_eq!(figure("figure crash images 12"), Some(("crash images", 12)));
        assert_eq!(figure("test result: ok"), None);
        let result = "test result: ok. 52 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out";
        assert_eq!(passed(result), Some(52));
        assert_eq!(passed("test passed ... ok"), None);
        assert_eq!(seeds("3..9"), Ok(3..9));
        for wrong in ["", "3", "9..3", "a..b", "3..3"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_row_says_what_was_run_and_what_was_found() {
        let engine = ENGINES.first().unwrap();
        let tally = Tally {
            first: 5,
            seeds: 3,
            seconds: 7,
            figures: BTreeMap::from([("kills".to_owned(), 20)]),
        };
        let row = tally.line(engine, Some(9), false);
        let command = format!("`cargo xtask soak {} --seeds 5..8`", engine.name);
        assert!(row.contains(&command), "{row}");
        assert!(
            row.ends_with("| 3 seeds in 7 s | 9 cases each, kills 20 | none |"),
            "{row}"
        );
        assert!(
            tally
                .line(engine, None, true)
                .contains("seed 8 found something")
        );
    }
}
