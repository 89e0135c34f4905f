//! What every strategy promises, for any key, count and randomness.

use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use wolff_partitioner::{ChooseError, KeyHash, Keyless, Partitioner, Strategy as Choice, murmur2};

const HASHES: [KeyHash; 4] = [
    KeyHash::Murmur2,
    KeyHash::Crc32,
    KeyHash::Fnv1a,
    KeyHash::Phash2,
];

fn any_strategy() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Random),
        Just(Choice::RoundRobin),
        any::<i32>().prop_map(Choice::Fixed),
        Just(Choice::MURMUR2),
        Just(Choice::CONSISTENT_RANDOM),
        Just(Choice::FNV1A),
        Just(Choice::FIRST_KEY_DISPATCH),
        any::<i32>().prop_map(|partition| Choice::custom(move |_, _| partition)),
    ]
}

proptest! {
    #[test]
    fn a_choice_exists_or_is_an_error_that_says_so(
        strategy in any_strategy(),
        key in any::<Option<Vec<u8>>>(),
        partition_count: u32,
        random: u64,
    ) {
        match Partitioner::new(strategy).choose(key.as_deref(), partition_count, random) {
            Ok(partition) => prop_assert!(partition < partition_count),
            Err(ChooseError::NoPartitions) => prop_assert_eq!(partition_count, 0),
            Err(ChooseError::OutOfRange { partition, partition_count: count }) => {
                prop_assert_eq!(count, partition_count);
                prop_assert!(i64::from(partition) < 0 || i64::from(partition) >= i64::from(count));
            }
            Err(other) => prop_assert!(false, "unexpected {other}"),
        }
    }

    #[test]
    fn a_key_decides_whatever_the_randomness(key: Vec<u8>, count in 1_u32..10_000, random: [u64; 2]) {
        for hash in HASHES {
            let partitioner = Partitioner::new(Choice::Keyed { hash, keyless: Keyless::Random });
            let first = partitioner.choose(Some(&key), count, random[0]);
            prop_assert_eq!(first, partitioner.choose(Some(&key), count, random[1]));
            prop_assert_eq!(first, Ok(hash.partition_of(&key, NonZeroU32::new(count).unwrap())));
        }
    }

    #[test]
    fn without_a_key_a_keyed_choice_is_random(count in 1_u32..10_000, random: u64) {
        let expected = Partitioner::new(Choice::Random).choose(None, count, random);
        prop_assert_eq!(Partitioner::new(Choice::MURMUR2).choose(None, count, random), expected);
    }

    #[test]
    fn the_sign_of_fnv1a_is_dropped_after_the_division(key: Vec<u8>, count in 1_u32..10_000) {
        let signed = i64::from(wolff_partitioner::fnv1a(&key).cast_signed());
        let expected = (signed % i64::from(count)).abs();
        let partition = KeyHash::Fnv1a.partition_of(&key, NonZeroU32::new(count).unwrap());
        prop_assert_eq!(i64::from(partition), expected);
    }
}

#[test]
fn an_empty_key_is_a_key() {
    let random_for_none = Partitioner::new(Choice::MURMUR2);
    let expected = (murmur2(b"") & 0x7fff_ffff) % 100;
    for random in [0, u64::MAX] {
        assert_eq!(random_for_none.choose(Some(b""), 100, random), Ok(expected));
    }
    assert_eq!(random_for_none.choose(None, 100, u64::MAX), Ok(99));

    let erlang = Partitioner::new(Choice::FIRST_KEY_DISPATCH);
    assert_eq!(
        erlang.choose(None, 100, u64::MAX),
        erlang.choose(Some(b""), 100, 0)
    );
    assert_eq!(erlang.choose(None, 100, 0), Ok(13_708_901 % 100));
}

#[test]
fn random_choice_reaches_every_partition_about_equally() {
    const CALLS: u64 = 60_000;
    let partitioner = Partitioner::new(Choice::Random);
    let mut hits = [0_u32; 6];
    for call in 0..CALLS {
        // Steps of the golden ratio: spread evenly, and the same in every run.
        let random = call.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let partition = partitioner.choose(None, 6, random).unwrap();
        hits[usize::try_from(partition).unwrap()] += 1;
    }
    assert!(
        hits.iter().all(|hit| (9_900..10_100).contains(hit)),
        "{hits:?}"
    );
}

#[test]
fn each_handle_goes_round_on_its_own() {
    let (one, other) = (
        Partitioner::new(Choice::RoundRobin),
        Partitioner::new(Choice::RoundRobin),
    );
    let of_one: Vec<_> = (0..4)
        .map(|_| one.choose(Some(b"key"), 3, 7).unwrap())
        .collect();
    assert_eq!(of_one, [0, 1, 2, 0]);
    assert_eq!(other.choose(None, 3, 7), Ok(0));
}

#[test]
fn threads_that_share_a_handle_get_equal_shares() {
    let partitioner = Arc::new(Partitioner::new(Choice::RoundRobin));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let partitioner = Arc::clone(&partitioner);
            thread::spawn(move || {
                (0..300)
                    .map(|_| partitioner.choose(None, 3, 0).unwrap())
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut hits = [0; 3];
    for thread in threads {
        for partition in thread.join().unwrap() {
            hits[usize::try_from(partition).unwrap()] += 1;
        }
    }
    assert_eq!(hits, [400; 3]);
}

#[test]
fn a_partition_that_does_not_exist_is_an_error_with_a_sentence() {
    let error = Partitioner::new(Choice::Fixed(6))
        .choose(None, 6, 0)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "partition 6 does not exist: the topic has 6"
    );
    assert_eq!(Partitioner::new(Choice::Fixed(5)).choose(None, 6, 0), Ok(5));
    assert!(
        Partitioner::new(Choice::Fixed(-1))
            .choose(None, 6, 0)
            .is_err()
    );
    let error = Partitioner::default().choose(None, 0, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the topic has no partitions to choose from"
    );
}

#[test]
fn a_callers_function_sees_key_and_count() {
    let strategy = Choice::custom(|key, count| {
        assert_eq!((key, count), (Some(&b"k"[..]), 9));
        4
    });
    assert_eq!(format!("{strategy:?}"), "Custom(..)");
    assert_eq!(Partitioner::new(strategy).choose(Some(b"k"), 9, 0), Ok(4));
}
