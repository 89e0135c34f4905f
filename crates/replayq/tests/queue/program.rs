//! Programs: sequences of operations on a queue, made by hand, by enumeration or at random.

use proptest::prelude::*;
use replayq::Flush;

/// One operation. Leases are named by their place in the list of open ones, modulo its length.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// So many items of so many bytes each.
    Append {
        count: usize,
        bytes: usize,
    },
    /// The same, leased with a tag, together with all that wait or not.
    AppendLeased {
        count: usize,
        bytes: usize,
        with_waiting: bool,
    },
    Pop {
        items: usize,
    },
    PopBytes {
        at_most: u64,
    },
    PopAtLeast {
        bytes: u64,
    },
    Peek {
        items: usize,
    },
    Ack {
        lease: usize,
    },
    /// Of the items of the lease that are open, so many from there on.
    AckSome {
        lease: usize,
        skip: usize,
        count: usize,
    },
    AckWithTag {
        lease: usize,
    },
    Release {
        lease: usize,
    },
    Tag {
        lease: usize,
    },
    ReadLease {
        lease: usize,
    },
    CommitTag,
    Flush {
        level: Flush,
    },
    /// Closes and opens again.
    Reopen,
    /// Ends the process and opens again.
    Kill,
}

/// Any operation, those that make things happen more often.
pub(crate) fn any_op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![6 => 8_usize..300, 2 => 300_usize..1500, 1 => 1500_usize..7000];
    let count = prop_oneof![4 => Just(1_usize), 2 => 2_usize..6];
    let lease = 0_usize..6;
    prop_oneof![
        8 => (count.clone(), bytes.clone()).prop_map(|(count, bytes)| Op::Append { count, bytes }),
        2 => (count, bytes, any::<bool>()).prop_map(|(count, bytes, with_waiting)| Op::AppendLeased { count, bytes, with_waiting }),
        4 => (1_usize..6).prop_map(|items| Op::Pop { items }),
        1 => (0_u64..2000).prop_map(|at_most| Op::PopBytes { at_most }),
        1 => (0_u64..2000).prop_map(|bytes| Op::PopAtLeast { bytes }),
        1 => (0_usize..5).prop_map(|items| Op::Peek { items }),
        5 => lease.clone().prop_map(|lease| Op::Ack { lease }),
        2 => (lease.clone(), 0_usize..4, 1_usize..4).prop_map(|(lease, skip, count)| Op::AckSome { lease, skip, count }),
        1 => lease.clone().prop_map(|lease| Op::AckWithTag { lease }),
        2 => lease.clone().prop_map(|lease| Op::Release { lease }),
        3 => lease.clone().prop_map(|lease| Op::Tag { lease }),
        1 => lease.prop_map(|lease| Op::ReadLease { lease }),
        1 => Just(Op::CommitTag),
        1 => prop_oneof![Just(Flush::Os), Just(Flush::Disk)].prop_map(|level| Op::Flush { level }),
        2 => Just(Op::Reopen),
        1 => Just(Op::Kill),
    ]
}

/// How many cases of a random test are run: `few`, or what REPLAYQ_TEST_CASES says.
pub(crate) fn cases(few: u32) -> u32 {
    std::env::var("REPLAYQ_TEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(few)
}

/// Runs the test with random values: the same ones each time, unless REPLAYQ_TEST_SEED gives
/// another start.
pub(crate) fn run_cases<S: Strategy>(
    few: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    let mut seed = [7; 32];
    if let Ok(text) = std::env::var("REPLAYQ_TEST_SEED") {
        for (place, byte) in seed.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
    }
    let config = Config {
        cases: cases(few),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    if let Err(error) = runner.run(strategy, test) {
        panic!("{error}");
    }
}
