//! `cargo xtask bench replayq --against DIR`: the queue beside that of another checkout, in turns.
//!
//! The same program, `benches/replayq_turns.rs`, is built with each, with the dependencies of this
//! workspace's `Cargo.lock`. The ratio of a line is the median of those of the rounds.

use crate::failure::{Context as _, Failure};
use crate::program;
use crate::workspace;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program, in the workspace.
const SOURCE: &str = "benches/replayq_turns.rs";

const NAME: &str = "replayq_turns";

/// Nanoseconds an item, by the name of the line, whose order is kept beside.
#[derive(Default)]
struct Lines {
    names: Vec<String>,
    times: BTreeMap<String, Vec<(f64, f64)>>,
}

/// Compares the queue with the one of the checkout in `before`.
pub(crate) fn run(before: &Path, rounds: usize, wanted: &[String]) -> Result<(), Failure> {
    let before = fs::canonicalize(before).context(before.display())?;
    let old = build(&before, "before")?;
    let new = build(&workspace::root(), "now")?;
    let mut lines = Lines::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds} …");
        // Each of the two is the first in every second round.
        let (times_before, times_now) = if round % 2 == 0 {
            let now = turn(&new, wanted)?;
            (turn(&old, wanted)?, now)
        } else {
            (turn(&old, wanted)?, turn(&new, wanted)?)
        };
        for ((name, before), (_, now)) in times_before.into_iter().zip(times_now) {
            if !lines.times.contains_key(&name) {
                lines.names.push(name.clone());
            }
            lines.times.entry(name).or_default().push((before, now));
        }
    }
    println!(
        "| items of 116 bytes, where nothing else is said | before | now | ratio | of the least |"
    );
    println!("|---|---|---|---|---|");
    for name in &lines.names {
        println!(
            "{}",
            row(name, lines.times.get(name).map_or(&[], Vec::as_slice))
        );
    }
    Ok(())
}

/// A row of the table: medians, the ratios' median with the least and the highest, and the ratio of
/// the least times, which other work on the machine disturbs least.
fn row(name: &str, times: &[(f64, f64)]) -> String {
    let sorted = |of: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = times.iter().map(of).collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    };
    let at = |all: &[f64], index: usize| all.get(index).copied().unwrap_or(f64::NAN);
    let median = |all: &[f64]| at(all, all.len() / 2);
    let (before, now) = (sorted(|(before, _)| *before), sorted(|(_, now)| *now));
    let ratios = sorted(|(before, now)| now / before);
    format!(
        "| {name} | {:.1} | {:.1} | {:.2} ({:.2} to {:.2}) | {:.2} |",
        median(&before),
        median(&now),
        median(&ratios),
        at(&ratios, 0),
        at(&ratios, ratios.len().saturating_sub(1)),
        at(&now, 0) / at(&before, 0),
    )
}

/// Builds the program with the queue of a checkout; returns its path.
fn build(checkout: &Path, side: &str) -> Result<PathBuf, Failure> {
    let queue = checkout.join("crates/replayq");
    if !queue.join("Cargo.toml").is_file() {
        return Err(Failure::new(format!(
            "{} is no checkout of this project: it has no crates/replayq",
            checkout.display()
        )));
    }
    let folder = workspace::target_directory()?.join("turns").join(side);
    fs::create_dir_all(&folder).context(format!("making {}", folder.display()))?;
    let root = workspace::root();
    let manifest = format!(
        "[package]\nname = \"{NAME}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [[bin]]\nname = \"{NAME}\"\npath = {:?}\n\n\
         [dependencies]\nbytes = \"1\"\nreplayq = {{ path = {:?} }}\n\
         rustix = {{ version = \"1\", features = [\"time\"] }}\ntempfile = \"3\"\n\n\
         [workspace]\n",
        root.join(SOURCE),
        queue,
    );
    fs::write(folder.join("Cargo.toml"), manifest).context("writing a manifest")?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("copying Cargo.lock")?;
    let mut cargo = workspace::cargo();
    cargo
        .current_dir(&folder)
        .args(["build", "--release", "--offline", "--target-dir", "target"]);
    program::run(&mut cargo)?;
    Ok(folder.join("target/release").join(NAME))
}

/// Lets one of the two run once.
fn turn(built: &Path, wanted: &[String]) -> Result<Vec<(String, f64)>, Failure> {
    let mut command = Command::new(built);
    // Its queues lie in a folder of the build.
    command.current_dir(built.parent().unwrap_or(built));
    command.args(wanted);
    let output = program::output_of(&mut command)?;
    let times: Vec<_> = output.lines().filter_map(line).collect();
    if times.is_empty() {
        return Err(Failure::new(format!(
            "`{}` printed no figure",
            built.display()
        )));
    }
    Ok(times)
}

/// A line `turn <nanoseconds> <name>`.
fn line(line: &str) -> Option<(String, f64)> {
    let (nanos, name) = line.strip_prefix("turn ")?.split_once(' ')?;
    Some((name.to_owned(), nanos.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_and_ratios() {
        assert_eq!(
            row("append", &[(10.0, 11.0), (20.0, 20.0), (30.0, 36.0)]),
            "| append | 20.0 | 20.0 | 1.10 (1.00 to 1.20) | 1.10 |"
        );
    }

    #[test]
    fn figures_are_read_from_lines() {
        assert_eq!(
            line("turn 41.5 in memory: append of one"),
            Some(("in memory: append of one".to_owned(), 41.5))
        );
        assert_eq!(line("turn round"), None);
    }
}
