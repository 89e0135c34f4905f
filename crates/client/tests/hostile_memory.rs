//! Memory that bytes from a broker make the decoder allocate, whatever their lengths say: at most
//! 64 times their own size for messages, and no more than the caller allows for what is compressed.
//!
//! A target by itself, because it counts what the whole process allocates: its tests take turns.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]

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

#[path = "peer/mod.rs"]
mod peer;
#[path = "trace/mod.rs"]
mod trace;

use bytes::Bytes;
use parking_lot::Mutex;
use peak_alloc::PeakAlloc;
use wolff_client::codec::messages::{AnyResponse, MetadataRequest};
use wolff_client::codec::records::{
    Compression, CompressionLevel, DecompressError, compress, decompress,
};
use wolff_client::codec::{ApiKey, DecodeError};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// RELIABILITY's ceiling for messages.
const TIMES_INPUT: usize = 64;

/// The most that a client may hold of one response at a time, in sizes of the response: its frame,
/// the decoded message, and what is kept of it.
const TIMES_RESPONSE: usize = 4;

/// The most that a client may hold beside, in bytes.
const BESIDE_RESPONSE: usize = 1 << 20;

/// Errors and their paths, which do not grow with the input.
const BASE_BYTES: usize = 4096;

/// Messages for each API and version, unless `WOLFF_HOSTILE_CASES` says otherwise;
/// `WOLFF_HOSTILE_SEED` chooses which.
const CASES: u64 = 1;

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
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap())
    };
    let count = number("WOLFF_HOSTILE_CASES").unwrap_or(CASES);
    let begin = number("WOLFF_HOSTILE_SEED").unwrap_or(0) * count;
    let mut tried = 0_u64;
    for api in ApiKey::NAMED.iter().copied() {
        let Some(versions) = AnyResponse::versions(api) else {
            continue;
        };
        for version in versions {
            let is_flexible = api.request_header_version(version) >= 2;
            for seed in begin..begin + count {
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
    println!("figure spoiled responses {tried}");
    assert!(tried > 2_000 * count, "{tried} spoiled responses");
}

/// Claimed size of a bomb, in bytes.
const BOMB_BYTES: usize = 64 * 1024 * 1024;

/// Limit of the caller, in bytes.
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

#[test]
fn a_huge_metadata_response_costs_the_client_a_few_times_its_bytes() {
    let _turn = TURN.lock();
    const PARTITIONS: i32 = 200_000;
    let leaders: Vec<(i32, i32)> = (0..PARTITIONS).map(|_| (1, 1)).collect();
    let response = peer::metadata(&[(1, "kafka")], [peer::topic("t", &leaders)]);
    let network = peer::Network::default();
    let mut listener = network.listen("kafka");
    let client = network.client("kafka").build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut peer, id, bytes, lookup) = runtime.block_on(async {
        let lookup = tokio::spawn(async move { client.topic("t").await });
        let mut peer = listener.accept_ready().await;
        let asked = peer.expect::<MetadataRequest>().await;
        let bytes = peer::frame(asked.id, asked.version, &response);
        drop(response);
        (peer, asked.id, bytes, lookup)
    });
    let peak = peak_bytes(|| {
        runtime.block_on(async {
            peer.send(&bytes).await;
            let topic = lookup.await.unwrap().unwrap();
            assert_eq!(topic.partitions.len(), 200_000, "request {id}");
        });
    });
    assert!(
        peak <= TIMES_RESPONSE * bytes.len() + BESIDE_RESPONSE,
        "{peak} bytes for {}",
        bytes.len()
    );
}
