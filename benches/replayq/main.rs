//! The queue beside the raw limit of the file system and beside other queues: goals P3, P4 and P5
//! of the project, and what it costs to have a thousand queues.
//!
//! `--dir DIR` chooses the file system, `--quick` smaller amounts, and the names of sections run
//! these alone: append, latency, synced, drain, consumers, reopen, many.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a benchmark of what does not work measures nothing"
)]

mod append;
mod consumers;
mod drain;
mod latency;
mod many;
mod reopen;
mod synced;

mod erlang;
mod ours;
mod peers;
mod raw;

mod payloads;
mod process;
mod race;

use std::path::PathBuf;

/// Sizes and places of the benchmarks.
#[derive(Clone, Debug)]
struct Settings {
    directory: PathBuf,
    is_quick: bool,
}

type Section = (&'static str, fn(&Settings));

const SECTIONS: [Section; 7] = [
    ("append", append::run),
    ("latency", latency::run),
    ("synced", synced::run),
    ("drain", drain::run),
    ("consumers", consumers::run),
    ("reopen", reopen::run),
    ("many", many::run),
];

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments
        .peek()
        .is_some_and(|first| first == process::CHILD)
    {
        return process::be_child(&arguments.skip(1).collect::<Vec<_>>());
    }
    let mut settings = Settings {
        directory: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        is_quick: false,
    };
    let mut wanted = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => settings.is_quick = true,
            "--dir" => settings.directory = arguments.next().expect("--dir DIR").into(),
            // `cargo bench` says so to every benchmark.
            "--bench" => {}
            name => wanted.push(name.to_owned()),
        }
    }
    let known = SECTIONS.map(|(name, _)| name);
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!(
            "there is no section `{unknown}`; there are: {}",
            known.join(", ")
        );
        std::process::exit(1);
    }
    for (name, run) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("\n== {name} ==");
            run(&settings);
        }
    }
}
