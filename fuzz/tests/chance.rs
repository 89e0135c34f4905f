//! Every body over inputs by chance: bytes of any kind, and inputs of the corpus that were edited.
//!
//! Without coverage, hence blind beside a fuzzer; but with nothing to install, and the same inputs
//! for the same seed. `WOLFF_FUZZ_SEED` chooses them; each body gets `WOLFF_FUZZ_CASES` of them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "here a panic is a failed test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Inputs of each body, unless the environment says otherwise: little more than that it runs.
const CASES: u64 = 20;

/// Longest input by chance.
const MAX_BYTES: usize = 600;

/// Draws by splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// A byte, small ones more often: they are lengths and choices.
    fn byte(&mut self) -> u8 {
        let byte = self.next().to_le_bytes()[0];
        if self.below(2) == 0 { byte % 8 } else { byte }
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit + 1)).map(|_| self.byte()).collect()
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// The corpus of a target, in an order that is always the same.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = fs::read_dir(folder).unwrap();
    let inputs: BTreeSet<Vec<u8>> = entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    inputs.into_iter().collect()
}

/// Changes an input in one place.
fn edit(random: &mut Random, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = random.below(input.len() + 1);
    let end = at + random.below((input.len() - at).min(32) + 1);
    match random.below(6) {
        // A bit is flipped.
        0 => {
            let bit = random.below(8);
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        1 => input[at..end].fill_with(|| random.byte()),
        2 => drop(input.drain(at..end)),
        3 => drop(input.splice(at..at, random.bytes(16))),
        4 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        // The end of another one.
        _ => {
            let other = &corpus[random.below(corpus.len())];
            input.truncate(at);
            input.extend(&other[random.below(other.len() + 1)..]);
        }
    }
}

fn by_chance(target: &str, body: fn(&[u8])) {
    let corpus = corpus(target);
    let (seed, cases) = (
        number("WOLFF_FUZZ_SEED", 1),
        number("WOLFF_FUZZ_CASES", CASES),
    );
    for case in 0..cases {
        // Each body has inputs of its own, and each case can be had alone.
        let mut random = Random(seed);
        random.0 = random.next() ^ case;
        let input = if random.below(4) == 0 {
            random.bytes(MAX_BYTES)
        } else {
            let mut input = corpus[random.below(corpus.len())].clone();
            for _ in 0..=random.below(6) {
                edit(&mut random, &mut input, &corpus);
            }
            input
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| body(&input)));
        if outcome.is_err() {
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("seed {seed}, case {case} of {target}: {hex}");
        }
    }
    println!("figure inputs of {target} {cases}");
}

/// Makes a test of each target and its body, and a list of the targets.
macro_rules! targets {
    ($($target:ident: $body:path,)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(
            #[test]
            fn $target() {
                by_chance(stringify!($target), $body);
            }
        )*
    };
}

targets! {
    builder_reader: wolff_fuzz::records::builder_reader,
    choice: wolff_fuzz::partitions::choice,
    consumer_protocol: wolff_fuzz::messages::consumer_protocol,
    credential_files: wolff_fuzz::client::credential_files,
    decompression: wolff_fuzz::records::decompression,
    endpoints: wolff_fuzz::client::endpoints,
    first_answers: wolff_fuzz::client::first_answers,
    frame_splitter: wolff_fuzz::messages::frame_splitter,
    machine: wolff_fuzz::machine::machine,
    pem: wolff_fuzz::client::pem,
    queue_directory: wolff_fuzz::queue::directory,
    queue_operations: wolff_fuzz::queue::operations,
    queue_segment: wolff_fuzz::queue::segment,
    queue_slots: wolff_fuzz::queue::slots,
    record_batch: wolff_fuzz::records::record_batch,
    requests: wolff_fuzz::messages::requests,
    responses: wolff_fuzz::messages::responses,
    scram: wolff_fuzz::client::scram,
    varint: wolff_fuzz::records::varint,
}

#[test]
fn no_target_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            path.file_stem().unwrap().to_string_lossy().into_owned()
        })
        .collect();
    let here: BTreeSet<String> = TARGETS.iter().map(|target| (*target).to_owned()).collect();
    assert_eq!(here, files);
}
