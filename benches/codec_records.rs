//! Record batches: encoding against the floor (one memcpy and one CRC32C of the same bytes) and
//! against the `kafka-protocol` crate; decoding against that crate.

#![expect(
    clippy::expect_used,
    reason = "a benchmark of what does not work measures nothing"
)]

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group};
use kafka_protocol::records as peer;
use wolff_benches::{Contender, compare, print_ratio, print_table};
use wolff_codec::records::{BatchHeader, Batches, FrameTotals, RecordRef, RecordsBuilder};

/// Records per batch.
const RECORDS: u32 = 10_000;

/// The timestamp of the first record; each has a millisecond more after every tenth.
const START_MS: i64 = 1_700_000_000_000;

/// The values of one batch, one behind the other in memory as in an application that has just made
/// them.
struct Sample {
    bytes: Bytes,
    value_bytes: usize,
}

impl Sample {
    fn new(value_bytes: usize) -> Self {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let bytes = (0..value_bytes * RECORDS as usize).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        Self {
            bytes: bytes.collect(),
            value_bytes,
        }
    }

    fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        let values = self.bytes.chunks_exact(self.value_bytes);
        (0i64..).zip(values).map(|(index, value)| RecordRef {
            timestamp_ms: START_MS + index / 10,
            key: None,
            value: Some(value),
            headers: &[],
        })
    }

    fn peer_records(&self) -> Vec<peer::Record> {
        (0i64..)
            .zip(self.records())
            .map(|(offset, record)| peer::Record {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: peer::NO_PARTITION_LEADER_EPOCH,
                producer_id: peer::NO_PRODUCER_ID,
                producer_epoch: peer::NO_PRODUCER_EPOCH,
                timestamp_type: peer::TimestampType::Creation,
                offset,
                sequence: peer::NO_SEQUENCE + i32::try_from(offset).unwrap_or_default(),
                timestamp: record.timestamp_ms,
                key: None,
                value: record.value.map(|value| self.bytes.slice_ref(value)),
                headers: Default::default(),
            })
            .collect()
    }
}

/// One batch: 10,000 records appended, cut, the header built.
fn encode(builder: &mut RecordsBuilder, records: &[RecordRef<'_>]) -> (Bytes, [u8; 61]) {
    builder.restart(START_MS);
    for record in records {
        builder.append(record).expect("the batch has room");
    }
    finish(builder)
}

fn finish(builder: &mut RecordsBuilder) -> (Bytes, [u8; 61]) {
    let frame = builder.cut().expect("there are records");
    let totals = FrameTotals::of([&frame]).expect("one whole batch");
    let header = BatchHeader::for_totals(&totals).expect("few enough");
    let header = header
        .encode(totals.records_len, totals.records_crc32c)
        .expect("small enough");
    (frame.records, header)
}

fn peer_encode(buffer: &mut BytesMut, records: &[peer::Record]) -> usize {
    buffer.clear();
    let options = peer::RecordEncodeOptions {
        version: 2,
        compression: peer::Compression::None,
    };
    peer::RecordBatchEncoder::encode(buffer, records, &options).expect("ordinary records");
    buffer.len()
}

/// The same from the values that an application has: it appends each.
fn encode_values(builder: &mut RecordsBuilder, sample: &Sample) -> (Bytes, [u8; 61]) {
    builder.restart(START_MS);
    for record in sample.records() {
        builder.append(&record).expect("the batch has room");
    }
    finish(builder)
}

/// The same with the peer: it takes a list of records of its own, which must be made first.
fn peer_encode_values(buffer: &mut BytesMut, sample: &Sample) -> usize {
    peer_encode(buffer, &sample.peer_records())
}

/// Every record is read and dropped, the checksum verified: what the peer does too, before it
/// returns anything.
fn decode(batch: &Bytes) -> usize {
    let batch = Batches::new(batch.clone())
        .next()
        .expect("a batch")
        .expect("a good header");
    batch.verify().expect("intact");
    let mut records = Vec::with_capacity(RECORDS as usize);
    records.extend(
        batch
            .records(usize::MAX)
            .expect("uncompressed")
            .map(|record| record.expect("well-formed")),
    );
    records.len()
}

fn peer_decode(batch: &Bytes) -> usize {
    peer::RecordBatchDecoder::decode(&mut batch.clone())
        .expect("well-formed")
        .records
        .len()
}

/// The batch in one piece.
fn whole_batch(sample: &Sample) -> Bytes {
    let (records, header) = encode(
        &mut RecordsBuilder::new(START_MS),
        &sample.records().collect::<Vec<_>>(),
    );
    [&header[..], &records].concat().into()
}

/// The least that encoding can cost: the bytes of the batch, copied once and summed once.
fn floor(source: &[u8], target: &mut [u8]) -> u32 {
    target.copy_from_slice(source);
    crc32c::crc32c(target)
}

fn measure(criterion: &mut Criterion) {
    for value_bytes in [100, 1024] {
        let sample = Sample::new(value_bytes);
        let batch = whole_batch(&sample);
        let records: Vec<_> = sample.records().collect();
        let peer_records = sample.peer_records();
        let mut group = criterion.benchmark_group(format!("records_{value_bytes}b"));
        group.throughput(Throughput::Elements(RECORDS.into()));
        let mut builder = RecordsBuilder::new(START_MS);
        group.bench_function("encode", |bencher| {
            bencher.iter(|| encode(&mut builder, &records))
        });
        let mut target = vec![0; batch.len()];
        group.bench_function("encode_floor", |bencher| {
            bencher.iter(|| floor(&batch, &mut target))
        });
        let mut buffer = BytesMut::new();
        group.bench_function("encode_kafka_protocol", |bencher| {
            bencher.iter(|| peer_encode(&mut buffer, &peer_records));
        });
        group.bench_function("decode", |bencher| bencher.iter(|| decode(&batch)));
        group.bench_function("decode_kafka_protocol", |bencher| {
            bencher.iter(|| peer_decode(&batch))
        });
    }
}

/// The goals: the contenders in turns, and their ratios.
fn compare_all() {
    for (value_bytes, size) in [(100, "100b"), (1024, "1kib")] {
        let sample = Sample::new(value_bytes);
        let batch = whole_batch(&sample);
        let records: Vec<_> = sample.records().collect();
        let peer_records = sample.peer_records();

        let mut builder = RecordsBuilder::new(START_MS);
        let mut value_builder = RecordsBuilder::new(START_MS);
        let mut target = vec![0; batch.len()];
        let mut buffer = BytesMut::new();
        let mut value_buffer = BytesMut::new();
        let outcomes = compare(
            [
                Contender::new("wolff-codec", || encode(&mut builder, &records)),
                Contender::new("memcpy + CRC32C", || floor(&batch, &mut target)),
                Contender::new("kafka-protocol", || peer_encode(&mut buffer, &peer_records)),
                Contender::new("wolff-codec, from values", || {
                    encode_values(&mut value_builder, &sample)
                }),
                Contender::new("kafka-protocol, from values", || {
                    peer_encode_values(&mut value_buffer, &sample)
                }),
            ],
            51,
        );
        print_table(
            &format!("encode {RECORDS} records of {value_bytes} bytes"),
            RECORDS,
            &outcomes,
        );
        let [ours, floor, peer, ours_from_values, peer_from_values] = outcomes;
        print_ratio(
            &format!("codec_encode_{size}_vs_floor"),
            ours.speed_relative_to(&floor),
        );
        print_ratio(
            &format!("codec_encode_{size}_vs_kafka_protocol"),
            ours.speed_relative_to(&peer),
        );
        // From what an application has to the bytes of the batch. The list of records that the
        // first comparison starts from has to be made for the peer, and must be read by us, though
        // the builder needs none.
        print_ratio(
            &format!("codec_encode_{size}_from_values_vs_floor"),
            ours_from_values.speed_relative_to(&floor),
        );
        print_ratio(
            &format!("codec_encode_{size}_from_values_vs_kafka_protocol"),
            ours_from_values.speed_relative_to(&peer_from_values),
        );
        // How far anyone could get.
        print_ratio(
            &format!("floor_{size}_vs_kafka_protocol"),
            floor.speed_relative_to(&peer),
        );

        let outcomes = compare(
            [
                Contender::new("wolff-codec", || decode(&batch)),
                Contender::new("kafka-protocol", || peer_decode(&batch)),
            ],
            51,
        );
        print_table(
            &format!("decode {RECORDS} records of {value_bytes} bytes"),
            RECORDS,
            &outcomes,
        );
        let [ours, peer] = outcomes;
        print_ratio(
            &format!("codec_decode_{size}_vs_kafka_protocol"),
            ours.speed_relative_to(&peer),
        );
    }
}

criterion_group!(benches, measure);

/// `--ratios` prints the comparison alone.
fn main() {
    if !std::env::args().any(|argument| argument == "--ratios") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    compare_all();
}
