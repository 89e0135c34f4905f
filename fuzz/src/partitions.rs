//! The choice of partitions.

use std::num::NonZeroU32;

use wolff_partitioner::{
    CallView, ChooseError, KeyHash, Keyless, Load, Partitioner, Strategy, TopicView,
};

/// Bytes that are taken from the front; zeros when there are none left.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| (number << 8) | u64::from(self.byte()))
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (first, rest) = self.0.split_at(len);
        self.0 = rest;
        first
    }
}

struct Call<'a> {
    key: Option<&'a [u8]>,
    bytes: u64,
}

impl CallView for Call<'_> {
    fn key(&self) -> Option<&[u8]> {
        self.key
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

struct Topic(Vec<(u64, bool)>);

impl TopicView for Topic {
    fn partition_count(&self) -> u32 {
        u32::try_from(self.0.len()).expect("at most 255")
    }

    fn load(&self, partition: u32) -> Load {
        let (waiting_bytes, is_available) = self.0[partition as usize];
        Load {
            waiting_bytes,
            is_available,
        }
    }
}

fn strategy(input: &mut Input<'_>) -> Strategy {
    let hashes = [
        KeyHash::Murmur2,
        KeyHash::Crc32,
        KeyHash::Fnv1a,
        KeyHash::Phash2,
    ];
    let hash = hashes[usize::from(input.byte()) % hashes.len()];
    let batch = NonZeroU32::new(u32::from(input.byte()) << (input.byte() % 25));
    let batch = batch.unwrap_or(NonZeroU32::MIN);
    let keyless = match input.byte() % 4 {
        0 => Keyless::Random,
        1 => Keyless::AsEmptyKey,
        2 => Keyless::Sticky(batch),
        _ => Keyless::Adaptive(batch),
    };
    match input.byte() % 6 {
        0 => Strategy::Random,
        1 => Strategy::RoundRobin,
        2 => Strategy::Fixed(i32::from(input.byte().cast_signed())),
        _ => Strategy::Keyed { hash, keyless },
    }
}

/// Calls with any keys and sizes, over a topic that grows, shrinks, and whose partitions come and
/// go.
///
/// A partition exists or the error says why not; a key decides alone; a sticky choice stays until a
/// batch is full, and then avoids partitions that are not available where there is another.
pub fn choice(data: &[u8]) {
    let mut input = Input(data);
    let strategy = strategy(&mut input);
    let partitioner = Partitioner::new(strategy.clone());
    let mut stuck: Option<(u32, u64)> = None;
    while !input.0.is_empty() {
        let count = u32::from(input.byte());
        let spread = input.number();
        let loads = (0..count).map(|partition| {
            let load = spread.rotate_left(partition) >> (partition % 64);
            (load, spread.rotate_right(partition) & 3 != 0)
        });
        let topic = Topic(loads.collect());
        let has_key = input.byte() & 1 == 0;
        let key = has_key.then(|| input.bytes());
        let bytes = u64::from(input.byte()) << (input.byte() % 57);
        let random = input.number();
        let chosen = partitioner.choose(Call { key, bytes }, &topic, random);
        let partition = match chosen {
            Ok(partition) => partition,
            Err(ChooseError::NoPartitions) => {
                assert_eq!(count, 0);
                continue;
            }
            Err(ChooseError::OutOfRange { partition, .. }) => {
                assert!(
                    u32::try_from(partition).is_ok_and(|partition| partition >= count)
                        || partition < 0
                );
                continue;
            }
            Err(error) => {
                assert_eq!(error.to_string(), "one of the two above");
                continue;
            }
        };
        assert!(partition < count);
        let Strategy::Keyed { hash, keyless } = &strategy else {
            continue;
        };
        let nonzero = NonZeroU32::new(count).expect("something was chosen");
        match (key, keyless) {
            (Some(key), _) => assert_eq!(partition, hash.partition_of(key, nonzero)),
            (None, Keyless::AsEmptyKey) => assert_eq!(partition, hash.partition_of(&[], nonzero)),
            (None, Keyless::Sticky(batch) | Keyless::Adaptive(batch)) => {
                let counted = bytes.max(1);
                let stays = stuck
                    .filter(|(stuck, given)| *stuck < count && *given < u64::from(batch.get()));
                if let Some((expected, given)) = stays {
                    assert_eq!(partition, expected);
                    stuck = Some((expected, given.saturating_add(counted)));
                } else {
                    let is_any = topic.0.iter().any(|(_, is_available)| *is_available);
                    assert!(topic.load(partition).is_available || !is_any);
                    stuck = Some((partition, counted));
                }
            }
            _ => {}
        }
    }
}
