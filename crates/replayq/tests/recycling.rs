//! Segments that are used again, many times over.

use bytes::Bytes;
use replayq::{Config, PopLimits, Queue};

#[test]
fn all_that_was_appended_comes_back_however_often_segments_are_recycled() {
    let room = tempfile::tempdir().unwrap();
    let config = Config::disk(room.path().join("queue"))
        .segment_bytes(1 << 20)
        .resident_bytes(1 << 18)
        .read_bytes(1 << 16)
        .spare_segments(10);
    let (queue, _) = Queue::open(config).unwrap();
    let group: Vec<Bytes> = (0..100_u8)
        .map(|fill| Bytes::from(vec![fill; 116]))
        .collect();
    for round in 0..20 {
        for _ in 0..200 {
            queue.append(&group).unwrap();
        }
        let mut drained = 0;
        while let Some(lease) = queue.pop(PopLimits::items(1000)).unwrap() {
            drained += lease.items.len();
            queue.ack(lease.id).unwrap();
        }
        assert_eq!(
            drained,
            20_000,
            "round {round}: {:?} {:?}",
            queue.stats(),
            queue.damage()
        );
    }
}
