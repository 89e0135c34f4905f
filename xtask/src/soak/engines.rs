//! The engines that can be soaked. A crate that has one adds a row here.

use crate::workspace;
use std::process::Command;
use std::time::Duration;

/// One engine.
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// A sentence for the list.
    pub(super) about: &'static str,
    pub(super) kind: Kind,
}

/// Kind of an engine, by the way it is run.
pub(super) enum Kind {
    /// Tests of a package, which take the seed and the number of cases from the environment.
    Tests {
        package: &'static str,
        /// Arguments of `cargo test` that choose the test program.
        program: &'static [&'static str],
        /// Parts of the names of the tests.
        filters: &'static [&'static str],
        seed_variable: &'static str,
        cases_variable: &'static str,
        cases: u64,
    },
    /// A fuzz target, with cargo-fuzz.
    Fuzz { target: &'static str },
    /// A test of rounds on a real Kafka of three nodes, which takes the seed and the number of
    /// rounds from the environment.
    Rounds { test: &'static str, rounds: u64 },
}

const QUEUE: &[&str] = &["--features", "simulation", "--test", "queue"];

const fn queue(
    name: &'static str,
    about: &'static str,
    filters: &'static [&'static str],
    cases: u64,
) -> Engine {
    Engine {
        name,
        about,
        kind: Kind::Tests {
            package: "replayq",
            program: QUEUE,
            filters,
            seed_variable: "REPLAYQ_TEST_SEED",
            cases_variable: "REPLAYQ_TEST_CASES",
            cases,
        },
    }
}

/// The queue's sources under a scheduler; a case is a schedule by chance in each mode.
const fn threads(
    name: &'static str,
    about: &'static str,
    filters: &'static [&'static str],
    cases: u64,
) -> Engine {
    Engine {
        name,
        about,
        kind: Kind::Tests {
            package: "replayq-interleavings",
            program: &["--test", "threads"],
            filters,
            seed_variable: "REPLAYQ_SEED",
            cases_variable: "REPLAYQ_SCHEDULES",
            cases,
        },
    }
}

const fn fuzz(name: &'static str, about: &'static str, target: &'static str) -> Engine {
    Engine {
        name,
        about,
        kind: Kind::Fuzz { target },
    }
}

/// Property tests, by proptest.
const fn properties(
    name: &'static str,
    about: &'static str,
    package: &'static str,
    program: &'static [&'static str],
    filters: &'static [&'static str],
    cases: u64,
) -> Engine {
    Engine {
        name,
        about,
        kind: Kind::Tests {
            package,
            program,
            filters,
            seed_variable: "PROPTEST_RNG_SEED",
            cases_variable: "PROPTEST_CASES",
            cases,
        },
    }
}

const fn rounds(name: &'static str, about: &'static str, test: &'static str) -> Engine {
    Engine {
        name,
        about,
        kind: Kind::Rounds { test, rounds: 10 },
    }
}

/// The test program of the rounds.
const ROUNDS: &[&str] = &["test", "-p", "wolff-real-cluster", "--test", "real_cluster"];

/// All of them.
pub(super) const ENGINES: &[Engine] = &[
    queue(
        "replayq-crash",
        "random programs, a crash at every change, every power loss after it",
        &["crash::crashes"],
        50,
    ),
    queue(
        "replayq-faults",
        "random programs, every call fails once and from then on",
        &["faults::"],
        50,
    ),
    queue(
        "replayq-model",
        "random calls in every mode, compared with a model",
        &["model::"],
        500,
    ),
    queue(
        "replayq-kill",
        "a process killed at every system call, and at random moments",
        &["kill::"],
        50,
    ),
    Engine {
        name: "replayq-crowd",
        about: "a process of several threads killed at random, over all modes",
        kind: Kind::Tests {
            package: "replayq",
            program: QUEUE,
            filters: &["crowd::"],
            seed_variable: "REPLAYQ_SEED",
            cases_variable: "REPLAYQ_KILLS",
            cases: 40,
        },
    },
    threads(
        "replayq-threads",
        "two to four threads in the orders of a scheduler",
        &["--skip", "power_losses"],
        2600,
    ),
    threads(
        "replayq-power",
        "power lost twice in the middle of threads; 60 disks a case",
        &["power_losses"],
        100,
    ),
    fuzz(
        "fuzz-queue-segment",
        "fuzzing: edited segments of a queue",
        "queue_segment",
    ),
    fuzz(
        "fuzz-queue-slots",
        "fuzzing: forged commits and leases",
        "queue_slots",
    ),
    fuzz(
        "fuzz-queue-directory",
        "fuzzing: any files in a queue's directory",
        "queue_directory",
    ),
    fuzz(
        "fuzz-queue-operations",
        "fuzzing: operations, faults and kills",
        "queue_operations",
    ),
    fuzz(
        "fuzz-builder-reader",
        "fuzzing: what a builder makes of records is read back",
        "builder_reader",
    ),
    fuzz(
        "fuzz-choice",
        "fuzzing: partitions chosen by each strategy",
        "choice",
    ),
    fuzz(
        "fuzz-consumer-protocol",
        "fuzzing: subscriptions and assignments",
        "consumer_protocol",
    ),
    fuzz(
        "fuzz-credential-files",
        "fuzzing: files with credentials",
        "credential_files",
    ),
    fuzz(
        "fuzz-decompression",
        "fuzzing: compressed bytes and their limits",
        "decompression",
    ),
    fuzz("fuzz-endpoints", "fuzzing: texts of addresses", "endpoints"),
    fuzz(
        "fuzz-first-answers",
        "fuzzing: the first answers on connections",
        "first_answers",
    ),
    fuzz(
        "fuzz-frame-splitter",
        "fuzzing: streams cut into frames",
        "frame_splitter",
    ),
    fuzz(
        "fuzz-machine",
        "fuzzing: events of one partition's machine",
        "machine",
    ),
    fuzz("fuzz-pem", "fuzzing: certificates and keys", "pem"),
    fuzz(
        "fuzz-record-batch",
        "fuzzing: record batches",
        "record_batch",
    ),
    fuzz("fuzz-requests", "fuzzing: requests", "requests"),
    fuzz("fuzz-responses", "fuzzing: responses", "responses"),
    fuzz("fuzz-scram", "fuzzing: messages of a SCRAM server", "scram"),
    fuzz("fuzz-varint", "fuzzing: variable-length integers", "varint"),
    properties(
        "codec-records",
        "record batches, frames, varints and checksums of random records and bytes",
        "wolff-codec",
        &["--lib", "--test", "records"],
        &[],
        2000,
    ),
    Engine {
        name: "codec-messages",
        about: "random messages of every API and version: round trips, cuts and damage",
        kind: Kind::Tests {
            package: "wolff-codec",
            program: &["--test", "messages"],
            filters: &[],
            seed_variable: "WOLFF_CODEC_SEED",
            cases_variable: "WOLFF_CODEC_CASES",
            cases: 200,
        },
    },
    Engine {
        name: "client-hostile",
        about: "memory for responses that lie in any length, of random messages",
        kind: Kind::Tests {
            package: "wolff-client",
            program: &["--test", "hostile_memory"],
            filters: &["no_length_of_any_response"],
            seed_variable: "WOLFF_HOSTILE_SEED",
            cases_variable: "WOLFF_HOSTILE_CASES",
            cases: 20,
        },
    },
    Engine {
        name: "client-memory",
        about: "a client beside brokers that die, in virtual time, each run twice",
        kind: Kind::Tests {
            package: "wolff-client",
            program: &["--test", "client"],
            filters: &["memory::"],
            seed_variable: "WOLFF_CLIENT_SEED",
            cases_variable: "WOLFF_CLIENT_CASES",
            cases: 200,
        },
    },
    properties(
        "partitioner",
        "random topics and keys, compared with what each strategy promises",
        "wolff-partitioner",
        &["--test", "strategies"],
        &[],
        20_000,
    ),
    properties(
        "testbroker",
        "random requests to a partition of the test broker, with its rules",
        "wolff-testbroker",
        &["--lib"],
        &["properties"],
        5000,
    ),
    properties(
        "wolff",
        "the producer's memory budget, waiters and directory names",
        "wolff",
        &["--lib"],
        &["memory::", "waiters::", "directory::"],
        5000,
    ),
    Engine {
        name: "cli-kill",
        about: "`wolff produce` killed at random moments, then run again",
        kind: Kind::Tests {
            package: "wolff-cli",
            program: &["--test", "commands"],
            filters: &["crash::whatever"],
            seed_variable: "WOLFF_CLI_SEED",
            cases_variable: "WOLFF_CLI_KILLS",
            cases: 40,
        },
    },
    Engine {
        name: "fuzz-bodies",
        about: "all fuzz targets on random and edited inputs, without a fuzzer",
        kind: Kind::Tests {
            package: "wolff-fuzz",
            program: &["--test", "chance"],
            filters: &[],
            seed_variable: "WOLFF_FUZZ_SEED",
            cases_variable: "WOLFF_FUZZ_CASES",
            cases: 500,
        },
    },
    properties(
        "machine",
        "random programs of one partition's machine, with faults, damage and kills",
        "wolff-core",
        &["--test", "machine"],
        &["simulation::"],
        20_000,
    ),
    Engine {
        name: "sim",
        about: "histories of the whole producer in virtual time, each twice",
        kind: Kind::Tests {
            package: "wolff-sim",
            program: &["--test", "whole_stack"],
            filters: &[],
            seed_variable: "WOLFF_SIM_SEED",
            cases_variable: "WOLFF_SIM_SEEDS",
            cases: 1000,
        },
    },
    rounds(
        "real-rolling",
        "three real nodes, restarted one after the other under load",
        "rounds::rolling::",
    ),
    rounds(
        "real-stop",
        "a producer stopped under load and started again, on a real Kafka",
        "rounds::stops::",
    ),
    rounds(
        "real-kill",
        "a producer killed under load and started again, on a real Kafka",
        "rounds::kills::",
    ),
];

impl Engine {
    /// Cases of a seed, unless others are asked for.
    pub(super) fn cases(&self) -> Option<u64> {
        match self.kind {
            Kind::Tests { cases, .. } => Some(cases),
            Kind::Rounds { rounds, .. } => Some(rounds),
            Kind::Fuzz { .. } => None,
        }
    }

    /// Returns whether it needs a real Kafka.
    pub(super) fn needs_kafka(&self) -> bool {
        matches!(self.kind, Kind::Rounds { .. })
    }

    /// The command that builds the engine.
    pub(super) fn build(&self) -> Command {
        let mut command = workspace::cargo();
        match self.kind {
            Kind::Tests {
                package, program, ..
            } => command
                .args(["test", "--release", "--no-run", "-p", package])
                .args(program),
            Kind::Fuzz { target } => command
                .current_dir(workspace::root().join("fuzz"))
                .args(["fuzz", "build", "--sanitizer", "none"])
                .args(["--features", "libfuzzer", target]),
            Kind::Rounds { .. } => command.args(ROUNDS).arg("--no-run"),
        };
        command
    }

    /// The command for one seed.
    pub(super) fn command(&self, seed: u64, cases: Option<u64>, left: Option<Duration>) -> Command {
        let mut command = workspace::cargo();
        match &self.kind {
            Kind::Tests {
                package,
                program,
                filters,
                seed_variable,
                cases_variable,
                cases: usual,
            } => command
                .args(["test", "--release", "-p", *package])
                .args(*program)
                .args(["--", "--nocapture"])
                .args(*filters)
                .env(seed_variable, seed.to_string())
                .env(cases_variable, cases.unwrap_or(*usual).to_string()),
            Kind::Fuzz { target } => {
                let seconds = left.map_or(60, |left| left.as_secs().max(1));
                command
                    .current_dir(workspace::root().join("fuzz"))
                    .args(["fuzz", "run", "--sanitizer", "none"])
                    .args(["--features", "libfuzzer", *target, "--"])
                    .arg(format!("-seed={seed}"))
                    .arg(format!("-max_total_time={seconds}"))
                    .arg("-print_final_stats=1")
            }
            Kind::Rounds { test, rounds } => command
                .args(ROUNDS)
                .args(["--", "--nocapture", *test])
                .env("WOLFF_SEED", seed.to_string())
                .env("WOLFF_ROUNDS", cases.unwrap_or(*rounds).to_string()),
        };
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn engines_have_names_of_their_own_and_each_fuzz_target_is_one() {
        let names: BTreeSet<&str> = ENGINES.iter().map(|engine| engine.name).collect();
        assert_eq!(names.len(), ENGINES.len());
        let here: BTreeSet<String> = ENGINES
            .iter()
            .filter_map(|engine| match engine.kind {
                Kind::Fuzz { target } => Some(target.to_owned()),
                _ => None,
            })
            .collect();
        let folder = workspace::root().join("fuzz/fuzz_targets");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                path.file_stem().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        assert_eq!(here, files);
    }
}
