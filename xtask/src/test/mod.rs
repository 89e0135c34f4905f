//! All tests of the workspace in one run: unit, property and documentation tests, end to end on the test broker, and end to
//! end on a real Kafka.
//!
//! # What tests are told
//! The environment of the tests has, when there is a real Kafka, `WOLFF_KAFKA` (plaintext, `host:port,…`) and the further
//! variables that `cargo xtask kafka env` prints. `WOLFF_KAFKA_CLUSTER` is among them only when its nodes may be killed,
//! paused and restarted, by running `$WOLFF_XTASK kafka kill 1` and the like.
//!
//! # Tests that skip themselves
//! A test that lacks something (no `WOLFF_KAFKA`, no kcat) says so and returns: it appends one line, `<its name>: <reason>`,
//! to the file that the environment variable `WOLFF_SKIPS` names, if it is set, in a single write. Such a test is counted
//! as skipped, not as passed.

mod skips;
mod tally;

use crate::failure::{Context as _, Failure};
use crate::program;
use crate::real_kafka::RealKafka;
use crate::workspace;
use skips::Skips;
use std::process::{Command, ExitCode};
use tally::Tally;

/// Packages that measure rather than test, and compile half a dozen other clients for it.
const LEFT_OUT: [&str; 1] = ["wolff-peers"];

/// Runs everything and prints the tally as the very last line. Any failed test makes the exit code a failure, and so does
/// a CI machine with Java and Maven that gets no Kafka to run.
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

/// How the tests went, and what else the reader must know.
fn run_all() -> Result<(Tally, Vec<String>), Failure> {
    eprintln!("building all tests …");
    program::run(cargo_test()?.args(["--no-run", "--quiet"]))?;

    let mut tally = Tally::default();
    let mut remarks = Vec::new();
    let skips = Skips::new(&workspace::target_directory()?.join("xtask"))?;
    let mut tests = cargo_test()?;
    tests.env("WOLFF_SKIPS", skips.file());
    tests.env(
        "WOLFF_XTASK",
        std::env::current_exe().context("cannot find this program")?,
    );

    let kafka = RealKafka::provide();
    match &kafka {
        RealKafka::Ready {
            origin,
            environment,
            ..
        } => {
            eprintln!("real Kafka: {origin}");
            remarks.push(format!("real Kafka: {origin}"));
            tests.envs(environment.iter().map(|(name, value)| (name, value)));
        }
        RealKafka::Absent { reason, is_defect } => {
            let is_failure = *is_defect && is_ci();
            let verdict = if is_failure { "FAILED" } else { "skipped" };
            eprintln!("no real Kafka: {reason}");
            remarks.push(format!("real Kafka: {verdict}: {reason}"));
            tally.failed = usize::from(is_failure);
        }
    }

    let status = program::stream(&mut tests, |line| {
        tally.read(line);
        if tally::is_worth_showing(line) {
            println!("{line}");
        }
    })?;
    kafka.stop();

    tally.count_skips(&skips.read()?);
    if !status.success() && tally.failed == 0 {
        remarks.push(format!(
            "`cargo test` failed ({status}) without naming a test"
        ));
        tally.failed = 1;
    }
    Ok((tally, remarks))
}

fn cargo_test() -> Result<Command, Failure> {
    let mut command = workspace::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    for package in workspace::package_names()? {
        if LEFT_OUT.contains(&package.as_str()) {
            command.args(["--exclude", &package]);
        }
    }
    Ok(command)
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
