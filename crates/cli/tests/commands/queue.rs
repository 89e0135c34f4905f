//! Looking into queues on disk: of anybody, in use, damaged.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Output;

use bytes::Bytes;
use replayq::{Config, Queue};
use serde_json::Value;
use wolff_testbroker::Cluster;

use crate::support::{
    Ended, Running, TOPIC, all_values, assert_numbered, cluster, directory, example_queue,
    numbered, run, segments, tell_skipped, values, wolff,
};

fn queue(what: &str, directory: &Path) -> Ended {
    run(&mut wolff(["queue", what, directory.to_str().unwrap()]), "")
}

fn queue_with(what: &str, flag: &str, directory: &Path) -> Ended {
    run(
        &mut wolff(["queue", what, flag, directory.to_str().unwrap()]),
        "",
    )
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Damages the payload of a segment's first item.
fn damage(segment: &Path) {
    let mut bytes = fs::read(segment).unwrap();
    bytes[4096 + 24 + 50] ^= 1;
    fs::write(segment, bytes).unwrap();
}

/// `wolff produce` with nobody there to take the records.
async fn left_behind(directory: &Path, partitions: i32, input: &str, flags: &[&str]) -> Cluster {
    let cluster = cluster(partitions).await;
    let brokers = cluster.bootstrap();
    let mut command = wolff(["produce", "--brokers", &brokers, "--topic", TOPIC]);
    command.args(["--drain-timeout", "0.1", "--queue-dir"]);
    command.arg(directory).args(flags);
    cluster
        .kill(wolff::client::codec::BrokerId(1))
        .await
        .unwrap();
    run(&mut command, input).code(3);
    cluster
        .revive(wolff::client::codec::BrokerId(1))
        .await
        .unwrap();
    cluster
}

#[test]
fn a_queue_in_use_is_shown_and_goes_on() {
    let room = directory();
    let path = room.path().join("queue");
    let own = example_queue(&path);
    let shown = queue("inspect", &path).code(0);
    for what in [
        "in use",
        "15 items wait",
        "items 4..=6 are leased",
        "LL",
        "##",
        "clean",
    ] {
        assert!(shown.stdout.contains(what), "{what:?} in {}", shown.stdout);
    }
    let json = queue_with("inspect", "--json", &path).code(0).json();
    assert_eq!(
        (&json["clean"], &json["open_items"]),
        (&Value::Bool(true), &15.into())
    );
    assert_eq!(json["in_use"], Value::Bool(true));
    assert_eq!(json["leases"][0]["first_id"], 4);
    queue("verify", &path).code(0);
    queue("repair", &path).code(2).says(["is in use"]);
    own.append_one(Bytes::from_static(b"another")).unwrap();
    assert_eq!(lines(&queue("dump", &path).code(0)).len(), 16);
}

#[test]
fn several_queues_are_summed_up() {
    let room = directory();
    for name in ["one", "two"] {
        example_queue(&room.path().join("queues").join(name))
            .close()
            .unwrap();
    }
    let above = room.path().join("queues");
    for what in ["inspect", "verify"] {
        let shown = queue(what, &above).code(0);
        let total = shown.stdout.lines().last().unwrap_or_default();
        assert!(
            total.starts_with("total: 2 queues, 30 items wait (") && total.ends_with(", no damage"),
            "{total}"
        );
    }
    damage(&segments(&above.join("two"))[1]);
    let shown = queue("verify", &above).code(4);
    assert!(
        shown.stdout.contains("total: 2 queues, "),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.trim_end().ends_with("damaged in 1 place"),
        "{}",
        shown.stdout
    );
    let one = queue("inspect", &above.join("one")).code(0);
    assert!(!one.stdout.contains("total:"), "{}", one.stdout);
}

#[test]
fn a_damaged_queue_is_told_from_a_clean_one_and_repaired_with_all_that_is_whole() {
    let room = directory();
    let path = room.path().join("queue");
    example_queue(&path).close().unwrap();
    queue("verify", &path).code(0);
    damage(&segments(&path)[1]);
    let shown = queue("inspect", &path).code(4);
    for what in ["!", "damaged in 1 place:", "is damaged and lost"] {
        assert!(shown.stdout.contains(what), "{what:?} in {}", shown.stdout);
    }
    let quick = queue_with("inspect", "--quick", &path).code(0);
    assert!(quick.stdout.contains("was not read"), "{}", quick.stdout);
    let verified = queue("verify", &path).code(4);
    assert!(
        verified.stdout.contains("is damaged and lost"),
        "{}",
        verified.stdout
    );
    assert_eq!(
        queue_with("verify", "--json", &path).code(4).json()["clean"],
        Value::Bool(false)
    );

    let dumped = queue_with("dump", "--items", &path)
        .code(4)
        .says(["is damaged and lost"]);
    let sound = lines(&dumped);
    assert_eq!(sound.len(), 14);
    assert_eq!(sound[0]["state"], "leased");
    assert!(
        sound[0]["payload"]
            .as_str()
            .unwrap()
            .starts_with("item 4 x")
    );

    let repaired = queue("repair", &path).code(0);
    for what in ["repaired", "is damaged and lost", ".segment.damaged"] {
        assert!(
            repaired.stdout.contains(what),
            "{what:?} in {}",
            repaired.stdout
        );
    }
    queue("verify", &path).code(0);
    let shown = queue("inspect", &path).code(0);
    assert!(shown.stdout.contains("put aside"), "{}", shown.stdout);
    let kept = lines(&queue_with("dump", "--items", &path).code(0));
    let payloads = |items: &[Value]| -> Vec<Value> {
        items.iter().map(|item| item["payload"].clone()).collect()
    };
    assert_eq!(payloads(&kept), payloads(&sound));
    assert!(queue("repair", &path).code(0).stdout.contains("was clean"));
}

#[test]
fn what_is_no_queue_is_wrong_usage_and_stays_as_it_is() {
    let room = directory();
    fs::write(room.path().join("notes.txt"), "mine").unwrap();
    for what in ["inspect", "verify", "dump", "repair"] {
        queue(what, room.path())
            .code(1)
            .says(["there is no queue in"]);
        for path in ["missing", "notes.txt"] {
            queue(what, &room.path().join(path)).code(1).says([
                "cannot read",
                path,
                "give the directory of a queue",
            ]);
        }
        run(&mut wolff(["queue", what]), "").code(1);
    }
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);
}

#[test]
fn what_a_terminal_would_obey_is_shown_and_not_sent_to_it() {
    let room = directory();
    let path = room.path().join("a\u{1b}[31mb\nc");
    example_queue(&path).close().unwrap();
    let missing = path.join("missing");
    for ended in [
        queue("inspect", &path).code(0),
        queue("verify", &path).code(0),
        queue("repair", &path).code(0),
        queue("verify", &missing).code(1),
    ] {
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(told.contains(r"a\u{1b}[31mb\nc"), "{told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}

#[test]
fn a_dump_ends_without_a_word_when_its_reader_has_enough() {
    let room = directory();
    let path = room.path().join("queue");
    let (own, _) = Queue::open(Config::disk(&path)).unwrap();
    for _ in 0..200 {
        // More than any pipe holds.
        own.append_one(Bytes::from(vec![b'x'; 50_000])).unwrap();
    }
    let mut dump = Running::start(&mut wolff(["queue", "dump", path.to_str().unwrap()]));
    let mut line = String::new();
    let mut reader = BufReader::new(dump.child().stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.len() > 50_000);
    drop(reader);
    let ended = dump.ended().code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn the_exit_code_tells_clean_from_damaged_also_when_nobody_reads() {
    let room = directory();
    let path = room.path().join("queue");
    example_queue(&path).close().unwrap();
    for (code, is_damaged) in [(0, false), (4, true)] {
        if is_damaged {
            damage(&segments(&path)[1]);
        }
        for what in ["inspect", "verify", "dump"] {
            for flag in [None, Some("--json")] {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                let mut command = wolff(["queue", what]);
                command.args(flag).arg(&path).stdout(writer);
                let Output { status, stderr, .. } = command.output().unwrap();
                let stderr = String::from_utf8(stderr).unwrap();
                // A dump whose reader has gone does not look at the rest.
                if what != "dump" {
                    assert_eq!(status.code(), Some(code), "{what} {flag:?}: {stderr}");
                }
                assert!(!stderr.contains("error"), "{what} {flag:?}: {stderr}");
            }
        }
    }
}

#[test]
fn a_queue_of_a_newer_program_is_refused_and_left_alone() {
    let room = directory();
    let path = room.path().join("queue");
    example_queue(&path).close().unwrap();
    let control = path.join("control");
    let mut content = fs::read(&control).unwrap();
    content[8] = 99;
    let checksum = crc32c(&content[..36]).to_le_bytes();
    content[36..40].copy_from_slice(&checksum);
    fs::write(&control, &content).unwrap();
    for what in ["inspect", "verify", "dump", "repair"] {
        queue(what, &path).code(2).says([
            control.to_str().unwrap(),
            "format version 99",
            "use a newer one",
        ]);
    }
    assert_eq!(fs::read(&control).unwrap(), content);
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

#[test]
fn a_queue_that_may_not_be_read_is_told_with_what_to_do() {
    const NOBODY: u32 = 65_534;
    let room = directory();
    let path = room.path().join("queue");
    example_queue(&path).close().unwrap();
    fs::set_permissions(room.path(), Permissions::from_mode(0o755)).unwrap();
    // Those who may read everything become somebody who may not; the program has to be where that
    // one may run it.
    let program = room.path().join("wolff");
    fs::copy(env!("CARGO_BIN_EXE_wolff"), &program).unwrap();
    let read_by = |what: &str| {
        let mut command = std::process::Command::new(&program);
        command.args(["queue", what]).arg(&path);
        command.env_remove("WOLFF_LOG").current_dir("/");
        if fs::read_dir(&path).is_ok() {
            command.uid(NOBODY);
        }
        command
    };
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    if let Err(error) = read_by("verify").output() {
        return tell_skipped(
            "queue::a_queue_that_may_not_be_read_is_told_with_what_to_do",
            &error.to_string(),
        );
    }
    for what in ["inspect", "verify", "dump", "repair"] {
        run(&mut read_by(what), "").code(2).says([
            path.to_str().unwrap(),
            "Permission denied",
            "run this as the user",
        ]);
    }
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    queue("verify", &path).code(0);
}

#[test]
fn help_says_what_the_exit_codes_are() {
    for what in ["inspect", "verify", "dump", "repair", "replay"] {
        let help = run(&mut wolff(["queue", what, "--help"]), "").code(0);
        for words in ["Exit codes", "DIR"] {
            assert!(help.stdout.contains(words), "{words} in {}", help.stdout);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_producer_left_are_dumped_as_it_got_them_and_can_be_produced_again() {
    let room = directory();
    let input = concat!(
        r#"{"key":"k","value":"v","headers":[["h","1"],["h",null]],"timestamp":1700000000000}"#,
        "\n",
        r#"{"key":null,"value":{"base64":"/wA="},"timestamp":1700000000001}"#,
        "\n",
        r#"{"key":"","value":"","timestamp":1700000000002}"#,
        "\n"
    );
    let cluster = left_behind(room.path(), 1, input, &["--format", "jsonl"]).await;
    let dumped = queue("dump", room.path()).code(0);
    assert_eq!(dumped.stdout, input);

    let brokers = cluster.bootstrap();
    let mut command = wolff(["produce", "--brokers", &brokers, "--topic", TOPIC]);
    run(command.args(["--format", "jsonl"]), dumped.stdout).code(0);
    assert_eq!(
        values(&cluster, 0),
        [b"v".to_vec(), vec![0xff, 0], Vec::new()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_queues_is_replayed_to_a_topic_and_stays() {
    let room = directory();
    let cluster = left_behind(room.path(), 2, &numbered(500), &["--partitioner", "1"]).await;
    let replay = |more: &[&str]| {
        let brokers = cluster.bootstrap();
        let mut command = wolff(["queue", "replay", "--brokers", &brokers, "--topic", TOPIC]);
        command
            .args(["--json", "--drain-timeout", "40"])
            .args(more)
            .arg(room.path());
        run(&mut command, "")
    };
    let replayed = replay(&["--partitioner", "0"]).code(0);
    assert_eq!(
        (replayed.count("accepted"), replayed.count("acked")),
        (500, 500)
    );
    assert_eq!(assert_numbered(&values(&cluster, 0), 500), 0);
    assert_eq!(lines(&queue("dump", room.path()).code(0)).len(), 500);

    // A producer with that directory would deliver them twice.
    replay(&["--queue-dir", room.path().to_str().unwrap()])
        .code(1)
        .says(["use wolff produce"]);
    assert_eq!(all_values(&cluster).len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_damaged_queue_all_that_is_sound_is_replayed_and_the_exit_code_tells() {
    let room = directory();
    let path = room.path().join("queue");
    example_queue(&path).close().unwrap();
    damage(&segments(&path)[1]);
    let cluster = cluster(1).await;
    let brokers = cluster.bootstrap();
    let mut command = wolff(["queue", "replay", "--brokers", &brokers, "--topic", TOPIC]);
    let ended = run(command.args(["--drain-timeout", "40"]).arg(&path), "");
    ended.code(4).says(["is damaged and lost"]);
    let values = values(&cluster, 0);
    assert_eq!(values.len(), 14);
    assert!(values[0].starts_with(b"item 4 x"));
}

#[test]
fn queues_of_topics_that_are_called_as_files_of_queues_are_found() {
    let room = directory();
    let topics = room.path().join("client").join("c");
    for topic in ["control", "of.segment", "orders"] {
        let partition = topics.join(topic).join("0");
        fs::create_dir_all(&partition).unwrap();
        example_queue(&partition).close().unwrap();
    }
    assert!(!Queue::is_in(&topics).unwrap());
    for what in ["inspect", "verify", "repair"] {
        let told = queue(what, room.path()).code(0).stdout;
        for topic in ["control/0", "of.segment/0", "orders/0"] {
            assert!(told.contains(topic), "{what}: {told}");
        }
    }
    assert_eq!(fs::read_dir(&topics).unwrap().count(), 3);
}

#[test]
fn a_directory_that_may_not_be_read_does_not_hide_the_queues_beside_it() {
    const NOBODY: u32 = 65_534;
    let room = directory();
    fs::set_permissions(room.path(), Permissions::from_mode(0o755)).unwrap();
    let (base, program) = (room.path().join("base"), room.path().join("wolff"));
    fs::copy(env!("CARGO_BIN_EXE_wolff"), &program).unwrap();
    for name in ["a", "z"] {
        example_queue(&base.join(name)).close().unwrap();
    }
    let closed = base.join("m");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(["queue", "verify"]).arg(&base);
    command.env_remove("WOLFF_LOG").current_dir("/");
    if fs::read_dir(&closed).is_ok() {
        // Those who may read everything become somebody who may not.
        let owned = std::process::Command::new("chown")
            .args(["-R", &NOBODY.to_string()])
            .arg(&base)
            .status();
        command.uid(NOBODY);
        if !owned.is_ok_and(|status| status.success()) || command.output().is_err() {
            return tell_skipped(
                "queue::a_directory_that_may_not_be_read_does_not_hide_the_queues_beside_it",
                "this user can neither be kept from reading nor become another one",
            );
        }
    }
    let told = run(&mut command, "")
        .code(2)
        .says(["/m:", "run this as the user"]);
    for name in ["base/a: clean", "base/z: clean"] {
        assert!(told.stdout.contains(name), "{}", told.stdout);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_whose_name_is_no_text_is_shown_as_well_as_can_be() {
    let room = directory();
    let path = room.path().join(OsStr::from_bytes(b"a\xffb"));
    example_queue(&path).close().unwrap();
    for what in ["inspect", "verify", "repair"] {
        let shown = queue_with(what, "--json", room.path()).code(0).json();
        let named = shown["directory"].as_str().unwrap();
        assert!(named.ends_with("a\u{fffd}b"), "{named}");
        let told = queue(what, room.path()).code(0).stdout;
        assert!(told.contains("a\u{fffd}b"), "{told}");
    }
    assert_eq!(lines(&queue("dump", room.path()).code(0)).len(), 15);
}
