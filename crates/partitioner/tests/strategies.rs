//! Promises of every strategy, for any key, count and randomness.

use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::thread;
use wolff_partitioner::{
    CallView, ChooseError, HeadersView, KeyHash, Keyless, Load, Partitioner, RecordView,
    Strategy as Choice, TopicView, murmur2,
};

const HASHES: [KeyHash; 4] = [
    KeyHash::Murmur2,
    KeyHash::Crc32,
    KeyHash::Fnv1a,
    KeyHash::Phash2,
];

const NO_KEY: Option<&[u8]> = None;

fn any_strategy() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Random),
        Just(Choice::RoundRobin),
        any::<i32>().prop_map(Choice::Fixed),
        Just(Choice::MURMUR2),
        Just(Choice::CONSISTENT_RANDOM),
        Just(Choice::FNV1A),
        Just(Choice::FIRST_KEY_DISPATCH),
        Just(Choice::STICKY),
        Just(Choice::ADAPTIVE),
        any::<i32>().prop_map(|partition| Choice::custom(move |_, _| partition)),
    ]
}

proptest! {
    #[test]
    fn a_choice_exists_or_is_an_error_that_says_so(
        strategy in any_strategy(),
        key in any::<Option<Vec<u8>>>(),
        partition_count in 0..100_000_u32,
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
        let expected = Partitioner::new(Choice::Random).choose(NO_KEY, count, random);
        prop_assert_eq!(Partitioner::new(Choice::MURMUR2).choose(NO_KEY, count, random), expected);
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
    assert_eq!(random_for_none.choose(NO_KEY, 100, u64::MAX), Ok(99));

    let erlang = Partitioner::new(Choice::FIRST_KEY_DISPATCH);
    assert_eq!(
        erlang.choose(NO_KEY, 100, u64::MAX),
        erlang.choose(Some(b""), 100, 0)
    );
    assert_eq!(erlang.choose(NO_KEY, 100, 0), Ok(13_708_901 % 100));
}

#[test]
fn random_choice_reaches_every_partition_about_equally() {
    const CALLS: u64 = 60_000;
    let partitioner = Partitioner::new(Choice::Random);
    let mut hits = [0_u32; 6];
    for call in 0..CALLS {
        // Steps of the golden ratio: spread evenly, and the same in every run.
        let random = call.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let partition = partitioner.choose(NO_KEY, 6, random).unwrap();
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
    assert_eq!(other.choose(NO_KEY, 3, 7), Ok(0));
}

#[test]
fn threads_that_share_a_handle_get_equal_shares() {
    let partitioner = Arc::new(Partitioner::new(Choice::RoundRobin));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let partitioner = Arc::clone(&partitioner);
            thread::spawn(move || {
                (0..300)
                    .map(|_| partitioner.choose(NO_KEY, 3, 0).unwrap())
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
        .choose(NO_KEY, 6, 0)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "partition 6 does not exist: the topic has 6"
    );
    assert_eq!(
        Partitioner::new(Choice::Fixed(5)).choose(NO_KEY, 6, 0),
        Ok(5)
    );
    assert!(
        Partitioner::new(Choice::Fixed(-1))
            .choose(NO_KEY, 6, 0)
            .is_err()
    );
    let error = Partitioner::default().choose(NO_KEY, 0, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the topic has no partitions to choose from"
    );
}

/// A call with values and headers.
struct Reading<'a>(Vec<(&'a str, &'a str)>);

struct Unit;

impl HeadersView for Unit {
    fn header(&self, name: &str) -> Option<Option<&[u8]>> {
        (name == "unit").then_some(Some(b"celsius"))
    }
}

impl CallView for Reading<'_> {
    fn key(&self) -> Option<&[u8]> {
        self.0.first().map(|(key, _)| key.as_bytes())
    }

    fn for_each_record(&self, visit: &mut dyn FnMut(RecordView<'_>)) {
        for (key, value) in &self.0 {
            visit(RecordView {
                key: Some(key.as_bytes()),
                value: Some(value.as_bytes()),
                headers: &Unit,
            });
        }
    }
}

/// Two partitions, of which one has no leader.
struct HalfDown;

impl TopicView for HalfDown {
    fn partition_count(&self) -> u32 {
        2
    }

    fn load(&self, partition: u32) -> Load {
        Load {
            waiting_bytes: 0,
            is_available: partition == 1,
        }
    }
}

#[test]
fn a_callers_function_sees_the_call_and_the_topic() {
    let strategy = Choice::custom(|call, topic| {
        let mut values = 0;
        call.for_each_record(&mut |record| {
            assert_eq!(record.headers.header("unit"), Some(Some(&b"celsius"[..])));
            assert_eq!(record.headers.header("other"), None);
            values += record.value.map_or(0, <[u8]>::len);
        });
        assert_eq!((call.key(), values), (Some(&b"k"[..]), 5));
        let first =
            (0..topic.partition_count()).find(|partition| topic.load(*partition).is_available);
        i32::try_from(first.unwrap()).unwrap()
    });
    assert_eq!(format!("{strategy:?}"), "Custom(..)");
    let call = Reading(vec![("k", "21"), ("l", "422")]);
    assert_eq!(Partitioner::new(strategy).choose(&call, HalfDown, 0), Ok(1));
}

#[test]
fn a_key_alone_is_a_call_of_one_record_without_value_or_headers() {
    let mut seen = 0;
    Some("key").for_each_record(&mut |record| {
        seen += 1;
        assert_eq!((record.key, record.value), (Some(&b"key"[..]), None));
        assert_eq!(record.headers.header("any"), None);
        assert!(!format!("{record:?}").contains("107"), "content in Debug");
    });
    assert_eq!((seen, Some("key").bytes(), NO_KEY.bytes()), (1, 3, 0));
}

#[test]
fn records_without_a_key_avoid_a_partition_without_leader_and_keys_do_not() {
    for strategy in [Choice::STICKY, Choice::ADAPTIVE] {
        let partitioner = Partitioner::new(strategy.clone());
        let partition_of =
            |key: &str| KeyHash::Murmur2.partition_of(key.as_bytes(), NonZeroU32::new(2).unwrap());
        let key = ["a", "b", "c", "d"]
            .into_iter()
            .find(|key| partition_of(key) == 0)
            .unwrap();
        for random in [0, u64::MAX / 2, u64::MAX] {
            assert_eq!(
                partitioner.choose(NO_KEY, HalfDown, random),
                Ok(1),
                "{strategy:?}"
            );
            assert_eq!(
                partitioner.choose(Some(key), HalfDown, random),
                Ok(0),
                "{strategy:?}"
            );
        }
    }
}

#[test]
fn threads_that_stick_to_one_partition_together_fill_each_batch_once() {
    // 4 threads of 256 calls of 4 bytes fill 4 batches of 1 KiB, whatever the order.
    let keyless = Keyless::Sticky(NonZeroU32::new(1_024).unwrap());
    let partitioner = Partitioner::new(Choice::Keyed {
        hash: KeyHash::Murmur2,
        keyless,
    });
    struct FourBytes;
    impl CallView for FourBytes {
        fn key(&self) -> Option<&[u8]> {
            None
        }
        fn bytes(&self) -> u64 {
            4
        }
    }
    let hits = Mutex::new([0_u32; 64]);
    thread::scope(|scope| {
        for seed in 1..=4_u64 {
            let (partitioner, hits) = (&partitioner, &hits);
            scope.spawn(move || {
                for call in 0..256 {
                    let random = (seed * 1_000 + call).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let partition = partitioner.choose(FourBytes, 64, random).unwrap();
                    hits.lock().unwrap()[usize::try_from(partition).unwrap()] += 1;
                }
            });
        }
    });
    let hits = hits.into_inner().unwrap();
    assert_eq!(hits.iter().sum::<u32>(), 1_024);
    assert!(hits.iter().all(|hits| hits % 256 == 0), "{hits:?}");
}
