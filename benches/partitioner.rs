//! The choice of a partition: the hashes by key length, and the strategies.

use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wolff_partitioner::{KeyHash, Partitioner, Strategy};

const COUNT: NonZeroU32 = NonZeroU32::new(12).unwrap();

fn hashes(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    for length in [8_usize, 36, 1_024] {
        let key = vec![b'k'; length];
        group.throughput(Throughput::Bytes(length as u64));
        let hashes = [
            ("murmur2", KeyHash::Murmur2),
            ("crc32", KeyHash::Crc32),
            ("fnv1a", KeyHash::Fnv1a),
            ("phash2", KeyHash::Phash2),
        ];
        for (name, hash) in hashes {
            group.bench_function(BenchmarkId::new(name, length), |b| {
                b.iter(|| hash.partition_of(black_box(&key), COUNT));
            });
        }
    }
    group.finish();
}

fn strategies(c: &mut Criterion) {
    let mut group = c.benchmark_group("choose");
    group.throughput(Throughput::Elements(1));
    let strategies = [
        ("random", Strategy::Random),
        ("round_robin", Strategy::RoundRobin),
        ("murmur2", Strategy::MURMUR2),
        ("sticky", Strategy::STICKY),
        ("adaptive", Strategy::ADAPTIVE),
        ("custom", Strategy::custom(|_, _| 3)),
    ];
    for (name, strategy) in strategies {
        let partitioner = Partitioner::new(strategy);
        let mut random = 0_u64;
        for (kind, key) in [("key", Some(&b"customer-17"[..])), ("no key", None)] {
            group.bench_function(BenchmarkId::new(name, kind), |b| {
                b.iter(|| {
                    random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    partitioner.choose(black_box(key), black_box(12), random)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, hashes, strategies);
criterion_main!(benches);
