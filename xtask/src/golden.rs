//! Records again what real brokers and foreign clients say: the golden files of
//! `tests/codec-conformance`.

use crate::failure::Failure;
use crate::guard::Guard;
use crate::kafka;
use crate::program;
use crate::workspace;
use std::ffi::OsString;

/// The releases that are asked: the newest, and one that still speaks what 4.0 has dropped.
const VERSIONS: [&str; 2] = [kafka::DEFAULT_VERSION, "3.9.1"];

const PACKAGE: &str = "wolff-codec-conformance";

/// Starts each broker and lets it be asked; stops it.
pub(crate) fn run() -> Result<(), Failure> {
    program::run(workspace::cargo().args([
        "build",
        "--package",
        PACKAGE,
        "--features",
        "librdkafka",
        "--bins",
    ]))?;
    for version in VERSIONS {
        record(version)?;
    }
    Ok(())
}

fn record(version: &str) -> Result<(), Failure> {
    let name = format!("golden-{}", std::process::id());
    let this_program = std::env::current_exe().map_err(|error| Failure::new(error.to_string()))?;
    let stop = [
        this_program.as_os_str(),
        "kafka".as_ref(),
        "stop".as_ref(),
        "--cluster".as_ref(),
        name.as_ref(),
    ];
    let guard = Guard::over(&stop.map(OsString::from))?;
    let environment = kafka::start_for_tests(&name, version, 1)?;
    let outcome = program::run(
        workspace::cargo()
            .args([
                "run",
                "--package",
                PACKAGE,
                "--features",
                "librdkafka",
                "--bin",
                "record-golden",
            ])
            .envs(environment)
            .env("WOLFF_KAFKA_LIBS", kafka::broker_libs(version)?),
    );
    drop(guard);
    outcome
}
