//! Contenders in turns, each turn a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::Failure;
use crate::child::KilledOnDrop;
use crate::job::Job;
use crate::report::Series;

/// Argument by which the program is told to be the null broker.
pub const BE_NULL_BROKER: &str = "be-null-broker";

/// Argument by which the program is told to do one job.
pub const BE_CONTENDER: &str = "be-contender";

/// A null broker in a process of its own, as long as this lives.
#[derive(Debug)]
pub struct NullBroker {
    address: String,
    process: KilledOnDrop,
}

impl NullBroker {
    /// Starts one on this core.
    ///
    /// # Errors
    /// The process does not start or does not say where it listens.
    pub fn start(partitions: i32, core: Option<usize>) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([BE_NULL_BROKER, "--partitions", &partitions.to_string()]);
        if let Some(core) = core {
            command.args(["--core", &core.to_string()]);
        }
        let mut process = KilledOnDrop(command.stdout(Stdio::piped()).spawn()?);
        let stdout = process
            .0
            .stdout
            .take()
            .ok_or("no pipe to the null broker")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        match address.trim() {
            "" => Err("the null broker did not start".into()),
            address => Ok(Self {
                address: address.to_owned(),
                process,
            }),
        }
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Lets each do its job once per round, in turns. The first round is a rehearsal and does not
/// count.
///
/// # Errors
/// A contender fails.
pub fn compare<M: DeserializeOwned>(
    jobs: &[(String, Job)],
    rounds: usize,
) -> Result<Vec<Series<M>>, Failure> {
    let mut series: Vec<Series<M>> = jobs
        .iter()
        .map(|(name, _)| Series {
            name: name.clone(),
            measurements: Vec::new(),
        })
        .collect();
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        for ((name, job), series) in jobs.iter().zip(&mut series) {
            let measurement = take_turn(job).map_err(|error| format!("{name}: {error}"))?;
            if round > 0 {
                series.measurements.push(measurement);
            }
        }
    }
    Ok(series)
}

fn take_turn<M: DeserializeOwned>(job: &Job) -> Result<M, Failure> {
    // Each turn starts with an empty queue of its own.
    let base = job
        .queue_dir
        .as_ref()
        .map(tempfile::tempdir_in)
        .transpose()?;
    let job = Job {
        queue_dir: base.as_ref().map(|base| base.path().to_owned()),
        ..job.clone()
    };
    let output = Command::new(std::env::current_exe()?)
        .args([BE_CONTENDER, &serde_json::to_string(&job)?])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("its turn failed ({})", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
