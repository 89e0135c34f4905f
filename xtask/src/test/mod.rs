//! All tests of the workspace in one run: unit, property and documentation tests, end to end on the
//! test broker, and end to end on a real Kafka. What kills, pauses and restarts the nodes of a
//! cluster comes last, on a cluster of three.
//!
//! # What tests are told
//! The environment of the tests has, when there is a real Kafka, `WOLFF_KAFKA` (plaintext,
//! `host:port,…`) and the further variables that `cargo xtask kafka env` prints.
//! `WOLFF_KAFKA_CLUSTER` is among them only when its nodes may be killed, paused and restarted, by
//! running `$WOLFF_XTASK kafka kill 1` and the like.
//!
//! # Secrets
//! `WOLFF_TRACE` names a file, to which the client's tests write everything that is told, down to
//! TRACE. A secret in it, or in what the tests print, is a failure.
//!
//! # Tests that skip themselves
//! A test that lacks something (no `WOLFF_KAFKA`, no kcat) says so and returns: it appends one
//! line, `<its name>: <reason>`, to the file that the environment variable `WOLFF_SKIPS` names, if
//! it is set, in a single write. Such a test is counted as skipped, not as passed.

mod secrets;
mod skips;
mod tally;

use crate::failure::{Context as _, Failure};
use crate::program;
use crate::real_kafka::RealKafka;
use crate::workspace;
use secrets::Secrets;
use skips::Skips;
use std::process::{Command, ExitCode};
use tally::Tally;

/// Packages that measure rather than test, and compile half a dozen other clients for it.
const LEFT_OUT: [&str; 1] = ["wolff-peers"];

/// The package, and its one target, that wants a cluster of three nodes. All others do with one
/// node, which leaves the machine to the tests.
const FOR_THREE_NODES: (&str, &str) = ("wolff-real-cluster", "real_cluster");

/// Runs everything and prints the tally as the very last line. Any failed test makes the exit code
/// a failure, and so does a CI machine with Java and Maven that gets no Kafka to run.
pub(crate) fn run() -> ExitCode {
    let (tally, remarks) = run_all().unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        (Tally::with_one_failure(), Vec::new())
    });
    print_report(&tally, &remarks);
    if tally.failed == 0 && tally.passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Returns how the tests went, and what else the reader must know.
fn run_all() -> Result<(Tally, Vec<String>), Failure> {
    let (package, target) = FOR_THREE_NODES;
    let most = all_packages_but(&[&LEFT_OUT[..], &[package]].concat())?;
    // Chosen by its target and not by its package: so Cargo chooses the same features as before,
    // and compiles nothing again.
    let mut last = all_packages_but(&LEFT_OUT)?;
    last.extend(["--test".to_owned(), target.to_owned()]);
    eprintln!("building all tests …");
    for packages in [&most, &last] {
        program::run(cargo_test(packages).args(["--no-run", "--quiet"]))?;
    }
    let directory = workspace::target_directory()?.join("xtask");
    let mut run = Run {
        tally: Tally::default(),
        remarks: Vec::new(),
        skips: Skips::new(&directory)?,
        secrets: Secrets::new(&directory)?,
    };
    run.test(&most, 1)?;
    run.test(&last, 3)?;
    run.tally.count_skips(&run.skips.read()?);
    run.look_for_secrets()?;
    Ok((run.tally, run.remarks))
}

/// The variable with the seed of property tests. A run has the same cases as the one before unless
/// it is set: new ones are looked for by `cargo xtask soak`, at the time of one's own choice.
const PROPERTY_SEED: &str = "PROPTEST_RNG_SEED";

/// State of the run so far.
struct Run {
    tally: Tally,
    remarks: Vec<String>,
    skips: Skips,
    secrets: Secrets,
}

impl Run {
    /// Runs the tests of some packages beside a Kafka of so many nodes, or without one.
    fn test(&mut self, packages: &[String], nodes: u16) -> Result<(), Failure> {
        let mut tests = cargo_test(packages);
        tests.env("WOLFF_SKIPS", self.skips.file());
        tests.env("WOLFF_TRACE", self.secrets.trace());
        if std::env::var_os(PROPERTY_SEED).is_none() {
            tests.env(PROPERTY_SEED, "1");
        }
        tests.env(
            "WOLFF_XTASK",
            std::env::current_exe().context("cannot find this program")?,
        );
        let kafka = RealKafka::provide(nodes);
        let remark = match &kafka {
            RealKafka::Ready {
                origin,
                environment,
                ..
            } => {
                tests.envs(environment.iter().map(|(name, value)| (name, value)));
                format!("real Kafka: {origin}")
            }
            RealKafka::Absent { reason, is_defect } => {
                let is_failure = *is_defect && is_ci();
                let verdict = if is_failure { "FAILED" } else { "skipped" };
                let failures = self.tally.failed.saturating_add(usize::from(is_failure));
                self.tally.failed = failures;
                format!("real Kafka: {verdict}: {reason}")
            }
        };
        eprintln!("{remark}");
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
        let failed_before = self.tally.failed;
        let status = program::stream(&mut tests, |line| {
            self.tally.read(line);
            if self.secrets.are_in(line.as_bytes()) {
                self.tally.fail("a secret is in what the tests print");
            }
            if tally::is_worth_showing(line) {
                println!("{line}");
            }
        })?;
        kafka.stop();
        if !status.success() && self.tally.failed == failed_before {
            self.remarks.push(format!(
                "`cargo test` failed ({status}) without naming a test"
            ));
            self.tally.failed = self.tally.failed.saturating_add(1);
        }
        Ok(())
    }

    /// Whatever was told while the tests ran, no secret was.
    fn look_for_secrets(&mut self) -> Result<(), Failure> {
        let (found, lines) = self.secrets.search_trace()?;
        for line in found {
            self.tally
                .fail(&format!("a secret is in what is told at TRACE: {line}"));
        }
        if lines == 0 {
            self.tally
                .fail("nothing was told at TRACE, so that nothing could be searched");
        }
        let remark = format!("no secret in {lines} lines of what is told at TRACE");
        if self.tally.failed == 0 {
            self.remarks.push(remark);
        }
        Ok(())
    }
}

/// `cargo test` of the packages that these arguments choose.
fn cargo_test(packages: &[String]) -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--no-fail-fast"]).args(packages);
    command
}

/// Arguments that choose all packages but these.
fn all_packages_but(left_out: &[&str]) -> Result<Vec<String>, Failure> {
    let mut arguments = vec!["--workspace".to_owned()];
    for package in workspace::package_names()? {
        if left_out.contains(&package.as_str()) {
            arguments.extend(["--exclude".to_owned(), package]);
        }
    }
    Ok(arguments)
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

fn print_report(tally: &Tally, remarks: &[String]) {
    println!();
    for name in &tally.failures {
        println!("failed: {name}");
    }
    for (reason, names) in &tally.skips {
        println!("skipped ({reason}): {}", names.join(", "));
    }
    for remark in remarks {
        println!("{remark}");
    }
    println!("{tally}");
}
