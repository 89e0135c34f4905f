//! What bytes from a broker make the decoder allocate, whatever their lengths say: at most 64 times their own size for
//! messages, and no more than the caller allows for what is compressed.
//!
//! A target by itself, because it counts what the whole process allocates: its tests take turns.

#[path = "hostile/lengths.rs"]
mod lengths;

#[path = "../../codec/tests/messages/grown.rs"]
#[allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of tests"
)]
mod grown;

use bytes::Bytes;
use parking_lot::Mutex;
use peak_alloc::PeakAlloc;
use wolff_client::codec::messages::AnyResponse;
use wolff_client::codec::records::{
    Compression, CompressionLevel, DecompressError, compress, decompress,
};
use wolff_client::codec::{ApiKey, DecodeError};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// RELIABILITY's ceiling for messages.
const TIMES_INPUT: usize = 64;

/// Errors and their paths, which do not grow with the input.
const BASE_BYTES: usize = 4096;

/// Messages for each API and version.
const SEEDS: u64 = 1;

fn decode(api: ApiKey, version: i16, body: &Bytes) -> Result<AnyResponse, DecodeError> {
    AnyResponse::decode(api, version, body)
}

/// Held by the test whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// The most that `action` allocates at a time, in bytes.
fn peak_bytes<T>(action: impl FnOnce() -> T) -> usize {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let outcome = action();
    let peak = ALLOCATED.peak_usage();
    drop(outcome);
    peak.saturating_sub(before)
}

#[test]
fn no_length_of_any_response_buys_more_memory_than_its_bytes_are_worth() {
    let _turn = TURN.lock();
    let mut tried = 0;
    for api in ApiKey::NAMED.iter().copied() {
        let Some(versions) = AnyResponse::versions(api) else {
            continue;
        };
        for version in versions {
            let is_flexible = api.request_header_version(version) >= 2;
            for seed in 0..SEEDS {
                let mut random = grown::Random::new(seed);
                let (body, _) =
                    grown::grow(&mut random, is_flexible, |body| decode(api, version, body));
                for length in lengths::lengths_of(&body, |cut| decode(api, version, cut)) {
                    for spoiled in length.spoiled(&body) {
                        let peak = peak_bytes(|| decode(api, version, &spoiled));
                        let limit = BASE_BYTES + TIMES_INPUT * spoiled.len();
                        assert!(
                            peak <= limit,
                            "{api} v{version}: {peak} bytes for {} at {length:?} of {spoiled:?}",
                            spoiled.len()
                        );
                        tried += 1;
                    }
                }
            }
        }
    }
    assert!(tried > 2_000, "{tried} spoiled responses");
}

/// What a bomb claims to be, in bytes.
const BOMB_BYTES: usize = 64 * 1024 * 1024;

/// What the caller allows, in bytes.
const ALLOWED_BYTES: usize = 1024 * 1024;

/// Buffers that grow by doubling, and a decompressor's own window (zstd's is the largest).
const OVERHEAD_BYTES: usize = 12 * 1024 * 1024;

#[test]
fn a_decompression_bomb_gets_no_more_memory_than_the_caller_allows() {
    let _turn = TURN.lock();
    let packed = Compression::ALL
        .into_iter()
        .filter(|compression| *compression != Compression::None && compression.is_available());
    for compression in packed {
        let zeros = [Bytes::from(vec![0; BOMB_BYTES])];
        let bomb = compress(compression, CompressionLevel::DEFAULT, &zeros).unwrap();
        drop(zeros);
        let mut outcome = None;
        let peak = peak_bytes(|| outcome = Some(decompress(compression, &bomb, ALLOWED_BYTES)));
        assert!(
            matches!(outcome, Some(Err(DecompressError::TooLarge { .. }))),
            "{compression}"
        );
        assert!(
            peak <= ALLOWED_BYTES + OVERHEAD_BYTES,
            "{compression}: {peak} bytes"
        );
    }
}
