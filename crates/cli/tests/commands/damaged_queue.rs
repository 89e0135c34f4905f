//! Every kind of damage and every command that looks at queues: the exit code, and the line that
//! names what is damaged.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use wolff_testbroker::Cluster;

use crate::support::{Ended, TOPIC, cluster, directory, example_queue, run, segments, wolff};

/// The size of a block of the control file, and where in a segment the entries begin.
const BLOCK: u64 = 4096;
/// Where the lease slots of the control file begin.
const LEASES: u64 = 28_672;

/// The example, closed: fifteen items wait, three of them leased, behind three that are done.
fn queue_at(path: &Path) {
    example_queue(path).close().unwrap();
}

/// The file of the segment with that number, from 0.
fn segment(queue: &Path, number: usize) -> PathBuf {
    segments(queue).swap_remove(number)
}

fn control(queue: &Path) -> PathBuf {
    queue.join("control")
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

fn flip(path: &Path, position: u64) {
    let file = open(path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], position).unwrap();
}

fn overwrite(path: &Path, position: u64, bytes: usize, with: u8) {
    open(path)
        .write_all_at(&vec![with; bytes], position)
        .unwrap();
}

fn cut(path: &Path, bytes_off: u64) {
    let file = open(path);
    let bytes = file.metadata().unwrap().len();
    file.set_len(bytes - bytes_off).unwrap();
}

/// A segment of another queue, under a name that comes behind all.
fn add_foreign_segment(queue: &Path) {
    let other = queue.with_file_name("other");
    queue_at(&other);
    let name = format!("{:020}-{:020}.segment", 100, 100);
    fs::copy(segment(&other, 0), queue.join(name)).unwrap();
    fs::remove_dir_all(other).unwrap();
}

/// A kind of damage, and how it is reported.
struct Case {
    name: &'static str,
    damage: fn(&Path),
    /// Part of the line that names it; none if that is no damage.
    told: Option<&'static str>,
    /// Number of the fifteen items that are still there.
    sound: usize,
}

const CASES: [Case; 21] = [
    Case {
        name: "nothing",
        damage: |_| (),
        told: None,
        sound: 15,
    },
    Case {
        name: "a bit of a payload",
        damage: |queue| flip(&segment(queue, 1), BLOCK + 60),
        told: Some(
            "item 7 at byte 4096 of 00000000000000000007-00000000000000000002.segment is damaged and lost",
        ),
        sound: 14,
    },
    Case {
        name: "the header of an entry",
        damage: |queue| flip(&segment(queue, 1), BLOCK + 5),
        told: Some("on are damaged, item 7 is lost in them"),
        sound: 14,
    },
    Case {
        name: "a sector of zeros",
        damage: |queue| overwrite(&segment(queue, 1), BLOCK + 1024, 512, 0),
        told: Some("on are damaged, item 9 is lost in them"),
        sound: 13,
    },
    Case {
        name: "the end of the last segment",
        damage: |queue| cut(&segment(queue, 2), 100),
        told: Some("item 18 is in no file"),
        sound: 14,
    },
    Case {
        name: "all entries of the last segment",
        damage: |queue| open(&segment(queue, 2)).set_len(BLOCK).unwrap(),
        told: Some("items 13..=18 are in no file"),
        sound: 9,
    },
    Case {
        name: "the end of a full segment",
        damage: |queue| cut(&segment(queue, 1), 100),
        told: Some("item 12 is in no file"),
        sound: 14,
    },
    Case {
        name: "an empty segment",
        damage: |queue| open(&segment(queue, 1)).set_len(0).unwrap(),
        told: Some("items 7..=12 are in no file"),
        sound: 9,
    },
    Case {
        name: "a segment that is gone",
        damage: |queue| fs::remove_file(segment(queue, 1)).unwrap(),
        told: Some("items 7..=12 are in no file"),
        sound: 9,
    },
    Case {
        name: "the last segment, which is gone",
        damage: |queue| fs::remove_file(segment(queue, 2)).unwrap(),
        told: Some("items 13..=18 are in no file"),
        sound: 9,
    },
    Case {
        name: "the header of a segment",
        damage: |queue| flip(&segment(queue, 1), 20),
        told: Some(
            "the header of 00000000000000000007-00000000000000000002.segment is damaged, nothing is lost",
        ),
        sound: 15,
    },
    Case {
        name: "the seal of a segment",
        damage: |queue| flip(&segment(queue, 1), 520),
        // As a crash between the last item and the seal leaves it.
        told: None,
        sound: 15,
    },
    Case {
        name: "a segment of another queue",
        damage: add_foreign_segment,
        told: Some("00000000000000000100-00000000000000000100.segment belongs to another queue"),
        sound: 15,
    },
    Case {
        name: "a commit",
        damage: |queue| flip(&control(queue), BLOCK + 40),
        told: Some("a commit record is damaged, acked items may come back"),
        sound: 15,
    },
    Case {
        name: "all commits",
        damage: |queue| overwrite(&control(queue), BLOCK, 3 * 8192, 0xff),
        told: Some("a commit record is damaged, acked items may come back"),
        sound: 18,
    },
    Case {
        name: "a lease",
        damage: |queue| flip(&control(queue), LEASES + 40),
        told: Some("a lease record is damaged, its tag is lost"),
        sound: 15,
    },
    Case {
        name: "the header of the control file",
        damage: |queue| flip(&control(queue), 14),
        told: Some("the control file is damaged or missing"),
        sound: 15,
    },
    Case {
        name: "a control file without its lease slots",
        damage: |queue| open(&control(queue)).set_len(LEASES).unwrap(),
        told: Some("the control file is damaged or missing"),
        sound: 15,
    },
    Case {
        name: "a control file of zeros",
        damage: |queue| overwrite(&control(queue), 0, 61_440, 0),
        told: Some("the control file is damaged or missing"),
        sound: 18,
    },
    Case {
        name: "an empty control file",
        damage: |queue| open(&control(queue)).set_len(0).unwrap(),
        told: Some("the control file is damaged or missing"),
        sound: 18,
    },
    Case {
        name: "a control file that is gone",
        damage: |queue| fs::remove_file(control(queue)).unwrap(),
        told: Some("the control file is damaged or missing"),
        sound: 18,
    },
];

fn command(what: &str, queue: &Path, cluster: &Cluster) -> Ended {
    let mut command = wolff(["queue", what]);
    if what == "replay" {
        let brokers = cluster.bootstrap();
        command.args(["--brokers", &brokers, "--topic", TOPIC, "--json"]);
    }
    run(command.arg(queue), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_damage_is_told_by_each_command_and_mended_by_repair() {
    let cluster = cluster(1).await;
    for case in CASES {
        let name = case.name;
        let damaged = case.told.map_or(0, |_| 4);
        for what in ["inspect", "verify", "dump", "replay", "repair"] {
            let room = directory();
            let queue = room.path().join("queue");
            queue_at(&queue);
            (case.damage)(&queue);
            let ended = command(what, &queue, &cluster);
            // What repair says is how it was; it is clean now.
            let code = if what == "repair" { 0 } else { damaged };
            assert_eq!(ended.code, Some(code), "{what} of {name}: {ended:#?}");
            let told_on = match what {
                "dump" | "replay" => &ended.stderr,
                _ => &ended.stdout,
            };
            match case.told {
                Some(told) => assert!(told_on.contains(told), "{what} of {name}: {ended:#?}"),
                None => assert!(
                    !told_on.contains("damaged in"),
                    "{what} of {name}: {ended:#?}"
                ),
            }
            match what {
                "dump" => assert_eq!(ended.stdout.lines().count(), case.sound, "{name}"),
                "replay" => assert_eq!(ended.count("acked"), case.sound as u64, "{name}"),
                "repair" => {
                    command("verify", &queue, &cluster).code(0);
                    let kept = command("dump", &queue, &cluster).code(0);
                    assert_eq!(kept.stdout.lines().count(), case.sound, "{name}");
                }
                _ => {
                    let waiting = [
                        format!("{} items wait", case.sound),
                        format!("{} sound items wait", case.sound),
                    ];
                    let is_told = waiting.iter().any(|waiting| told_on.contains(waiting));
                    assert!(is_told, "{what} of {name}: {ended:#?}");
                }
            }
        }
    }
}
