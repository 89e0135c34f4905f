//! Every loss by damage is reported to the owner of the queue when it is found, and the damaged
//! file is kept, also when the queue goes on and drains.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use replayq::vfs::sim::SimVfs;
use replayq::{Config, Damage, Depth, Inspector, PopLimits, Queue};

use crate::setup::{DIRECTORY, payload, serial};

const ITEMS: u64 = 45;

fn config(vfs: &SimVfs) -> Config {
    Config::disk(DIRECTORY)
        .segment_bytes(4096 + 10 * 128)
        .resident_bytes(500)
        .read_bytes(4096)
        .vfs(Arc::new(vfs.clone()))
}

fn filled(is_closed: bool) -> SimVfs {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).unwrap();
    for serial in 1..=ITEMS {
        queue.append_one(payload(serial, 104)).unwrap();
    }
    // Half of the second segment is done.
    let lease = queue.pop(PopLimits::items(15)).unwrap().unwrap();
    queue.ack(lease.id).unwrap();
    if is_closed {
        queue.close().unwrap();
    }
    drop(queue);
    vfs.copy()
}

fn segments(vfs: &SimVfs) -> Vec<PathBuf> {
    let mut files = vfs.files();
    files.retain(|path| path.extension().is_some_and(|end| end == "segment"));
    files.sort();
    files
}

/// Overwrites eight bytes.
fn overwrite(vfs: &SimVfs, path: &Path, position: usize) {
    let mut content = vfs.read_file(path).unwrap();
    for byte in &mut content[position..position + 8] {
        *byte ^= 0x55;
    }
    vfs.write_file(path, content);
}

#[test]
fn eight_bytes_overwritten_anywhere_in_an_item_are_reported_with_the_loss_and_the_file_is_kept() {
    for is_closed in [true, false] {
        let whole = filled(is_closed);
        let segments = segments(&whole);
        for path in &segments {
            let first: u64 = path.file_name().unwrap().to_str().unwrap()[..20]
                .parse()
                .unwrap();
            for index in 0..10 {
                let id = first + index;
                if !(16..=ITEMS).contains(&id) {
                    continue;
                }
                let is_last = id == ITEMS;
                for offset in [0, 8, 24, 96] {
                    let vfs = whole.copy();
                    let position = 4096 + 128 * usize::try_from(index).unwrap() + offset;
                    overwrite(&vfs, path, position);
                    let content = vfs.read_file(path).unwrap();
                    let what = format!("item {id}, byte {offset}, closed: {is_closed}");
                    if is_last && !is_closed {
                        // A write that a kill has cut short looks the same, and nothing says that
                        // there was more.
                        continue;
                    }
                    is_reported(&vfs, path, &content, id, &what);
                }
            }
        }
    }
}

fn is_reported(vfs: &SimVfs, path: &Path, content: &[u8], id: u64, what: &str) {
    let inspection = Inspector::with_vfs(Arc::new(vfs.clone()))
        .inspect(Path::new(DIRECTORY), Depth::EveryByte)
        .unwrap();
    assert!(!inspection.is_clean(), "{what}");
    let (queue, recovery) = Queue::open(config(vfs)).unwrap();
    let mut seen = 0;
    let mut found: Vec<Damage> = Vec::new();
    let mut serials = Vec::new();
    loop {
        let damage = queue.stats().damage;
        found.extend(queue.damage_since(seen));
        seen = damage;
        let Some(lease) = queue.pop(PopLimits::items(3)).unwrap() else {
            break;
        };
        serials.extend(lease.items.iter().map(|item| serial(&item.payload)));
        queue.ack(lease.id).unwrap();
    }
    let expected: Vec<u64> = (16..=ITEMS).filter(|serial| *serial != id).collect();
    assert_eq!(serials, expected, "{what}");
    assert!(
        recovery.damage.iter().all(|damage| found.contains(damage)),
        "{what}"
    );
    let names_it = |damage: &Damage| {
        damage
            .ids()
            .is_some_and(|ids| ids.first.0 <= id && id <= ids.last.0)
    };
    assert!(found.iter().any(names_it), "{what}: {found:?}");
    assert_eq!(queue.stats().lost_items, 1, "{what}: {found:?}");
    // The queue goes on, and comes by with another segment.
    for serial in 1..=25 {
        queue.append_one(payload(serial, 104)).unwrap();
    }
    while let Some(lease) = queue.pop(PopLimits::items(30)).unwrap() {
        queue.ack(lease.id).unwrap();
    }
    queue.close().unwrap();
    let mut kept = path.as_os_str().to_owned();
    kept.push(".damaged");
    let kept = vfs.read_file(Path::new(&kept));
    assert!(
        kept.is_some_and(|kept| kept.starts_with(&content[..4096 + 128])),
        "{what}: {:?}",
        vfs.files()
    );
    let inspection = Inspector::with_vfs(Arc::new(vfs.clone()))
        .inspect(Path::new(DIRECTORY), Depth::EveryByte)
        .unwrap();
    assert!(inspection.is_clean(), "{what}: {:?}", inspection.damage);
    assert!(
        inspection.others.iter().any(|other| other.is_put_aside),
        "{what}"
    );
}

#[test]
fn a_segment_that_is_gone_is_reported_with_the_number_of_its_items() {
    let vfs = filled(true);
    vfs.remove_file(&segments(&vfs)[2]);
    let (queue, recovery) = Queue::open(config(&vfs)).unwrap();
    assert!(matches!(recovery.damage[..], [Damage::Missing { ids }] if ids.span() == 10));
    let stats = queue.stats();
    assert_eq!((stats.damage, stats.lost_items), (1, 10));
}
