//! Queue directories that cannot be used, and disks that are full: told clearly, and nothing
//! accepted is lost.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use serde_json::Value;
use wolff::client::codec::BrokerId;

use crate::support::{
    Running, TOPIC, accepted, all_values, assert_numbered, assert_reported, cluster, directory,
    number, numbered, produce, run, tell_skipped, values, wait_for_accepted, wolff,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_another_process_uses_is_told_with_its_process() {
    let cluster = cluster(1).await;
    let directory = directory();
    let (queue, log) = (directory.path().join("q"), directory.path().join("log"));
    let mut command = produce(&cluster.bootstrap());
    let mut owner = Running::start(
        command
            .arg("--queue-dir")
            .arg(&queue)
            .arg("--accepted-log")
            .arg(&log),
    );
    let mut input = owner.input();
    input.write_all(b"line 0\n").unwrap();
    wait_for_accepted(&log, 1);
    let process = owner.child().id().to_string();
    run(
        produce(&cluster.bootstrap()).arg("--queue-dir").arg(&queue),
        "x\n",
    )
    .code(1)
    .says([queue.to_str().unwrap(), "in use", &process, "--queue-dir"]);
    input.write_all(b"line 1\n").unwrap();
    drop(input);
    owner.ended().code(0);
    assert_eq!(assert_numbered(&values(&cluster, 0), 2), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_cannot_be_a_directory_is_told() {
    let cluster = cluster(1).await;
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let cases = [file.clone(), file.join("q"), "/proc/nowhere".into()];
    for path in cases {
        run(
            produce(&cluster.bootstrap()).arg("--queue-dir").arg(&path),
            "x\n",
        )
        .code(1)
        .says([path.to_str().unwrap(), "--queue-dir"]);
    }
    assert_eq!(cluster.stats().records(), 0);
}

/// Runs a shell script in which `$WOLFF` is the binary with these arguments, on this input.
fn run_in_shell(script: &str, command: &Command, input: &str) -> crate::support::Ended {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env_remove("WOLFF_LOG").env("RUST_BACKTRACE", "1");
    run(&mut shell, input)
}

/// A limit of file sizes that is reached in the middle: some partitions take no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_file_sizes_is_told_and_no_reason_to_die() {
    let cluster = cluster(1).await;
    let directory = directory();
    let queue = directory.path().join("q");
    let mut command = produce(&cluster.bootstrap());
    command.arg("--queue-dir").arg(&queue);
    // 64 blocks of 512 or 1,024 bytes: not even the first segment can be made, or its end is soon
    // reached.
    let ended = run_in_shell("ulimit -f 64; exec \"$@\"", &command, &numbered(100_000));
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:#?}");
    ended.says([queue.to_str().unwrap(), "ulimit -f"]);
}

/// True if this machine lets us mount a small file system of our own; if not, says that the test is
/// skipped.
fn can_mount(test: &str) -> bool {
    let mounted = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=1m tmpfs /mnt")
        .output();
    let can_mount = mounted.is_ok_and(|output| output.status.success());
    if !can_mount {
        tell_skipped(
            &format!("bad_queue::{test}"),
            "no file system can be mounted",
        );
    }
    can_mount
}

/// Runs the binary with its queue on a small file system of its own; then, with more room, again
/// without input. The shell lets go of the input, so that whoever writes it learns when the binary
/// does.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size=$SIZE tmpfs "$QUEUE" || exit 99
exec 3<&0 </dev/null
"$@" <&3 3<&- &
exec 3<&-
wait $!
code=$?
mount -o remount,size=$SIZE_AGAIN tmpfs "$QUEUE" || exit 99
"$@" </dev/null >"$AGAIN"
echo $? >>"$AGAIN"
exit $code
"#;

/// The directory of a queue on a small disk, and what is beside it.
struct SmallDisk {
    directory: tempfile::TempDir,
    size: &'static str,
    size_again: &'static str,
}

impl SmallDisk {
    fn new(size: &'static str, size_again: &'static str) -> Self {
        let disk = Self {
            directory: directory(),
            size,
            size_again,
        };
        fs::create_dir(disk.queue()).unwrap();
        disk
    }

    fn queue(&self) -> PathBuf {
        self.directory.path().join("q")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn command(&self, brokers: &str, drain_timeout: &str) -> Command {
        let mut produce = wolff(["produce", "--brokers", brokers, "--topic", TOPIC, "--json"]);
        produce.args(["--drain-timeout", drain_timeout]);
        produce
            .arg("--queue-dir")
            .arg(self.queue())
            .arg("--accepted-log")
            .arg(self.log());
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            ON_A_SMALL_DISK,
            "sh",
        ]);
        command.arg(produce.get_program()).args(produce.get_args());
        command.env("SIZE", self.size).env("QUEUE", self.queue());
        command.env("SIZE_AGAIN", self.size_again);
        command.env("AGAIN", self.directory.path().join("again"));
        command.env_remove("WOLFF_LOG").env("RUST_BACKTRACE", "1");
        command
    }

    /// The summary and the exit code of the run with more room.
    fn again(&self) -> (Value, i32) {
        let text = fs::read_to_string(self.directory.path().join("again")).unwrap();
        let (summary, code) = text
            .trim_end()
            .split_once('\n')
            .unwrap_or(("null", text.trim_end()));
        (
            serde_json::from_str(summary).unwrap(),
            code.parse().unwrap(),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_at_the_start_is_told() {
    if !can_mount("a_disk_that_is_full_at_the_start_is_told") {
        return;
    }
    let cluster = cluster(1).await;
    let disk = SmallDisk::new("8k", "100m");
    let ended = run(&mut disk.command(&cluster.bootstrap(), "40"), "x\n");
    // Nothing is accepted, whether that is known before the first line or with it.
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:#?}");
    ended.says([disk.queue().to_str().unwrap(), "No space left"]);
    assert_eq!(cluster.stats().records(), 0);
    assert_eq!(disk.again().1, 0, "with more room it works");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_in_the_middle_ends_the_input_and_what_was_accepted_is_delivered() {
    if !can_mount(
        "a_disk_that_fills_in_the_middle_ends_the_input_and_what_was_accepted_is_delivered",
    ) {
        return;
    }
    let cluster = cluster(1).await;
    let disk = SmallDisk::new("1m", "100m");
    let mut running = Running::start(&mut disk.command(&cluster.bootstrap(), "40"));
    let mut input = running.input();
    input.write_all(b"line 0\n").unwrap();
    cluster.wait_for(|stats| stats.records() == 1).await;
    cluster.kill(BrokerId(1)).await.unwrap();
    let writer = thread::spawn(move || {
        let lines: String = (1..400_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        // It stops to read when the disk is full.
        input.write_all(lines.as_bytes()).unwrap_err();
    });
    writer.join().unwrap();
    cluster.revive(BrokerId(1)).await.unwrap();
    let ended = running.ended().code(2).says([
        "cannot store records any more",
        disk.queue().to_str().unwrap(),
        "No space left",
        "reading stopped at <stdin>:",
    ]);
    let [accepted_records, acked, queued, refused] =
        ["accepted", "acked", "left", "refused"].map(|name| ended.count(name));
    assert!(refused > 0 && accepted_records < 400_000);
    assert_eq!((accepted_records, queued), (acked, 0));
    assert_eq!(cluster.stats().records(), acked);
    let reported = accepted(&disk.log()).last().copied().unwrap();
    assert_eq!(assert_reported(&values(&cluster, 0), reported), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_has_when_no_broker_ever_came_is_delivered_when_there_is_room() {
    if can_mount("what_a_full_disk_has_when_no_broker_ever_came_is_delivered_when_there_is_room") {
        is_delivered_again(SmallDisk::new("1m", "100m"), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_has_when_no_broker_ever_came_is_delivered_without_more_room() {
    if can_mount("what_a_full_disk_has_when_no_broker_ever_came_is_delivered_without_more_room") {
        is_delivered_again(SmallDisk::new("1m", "1m"), 6).await;
    }
}

async fn is_delivered_again(disk: SmallDisk, partitions: i32) {
    // Only the second run finds the broker: its port is known, but nobody listens before.
    let cluster = cluster(partitions).await;
    cluster.kill(BrokerId(1)).await.unwrap();
    let running = Running::start(&mut disk.command(&cluster.bootstrap(), "5"));
    let mut running = running;
    let mut input = running.input();
    let lines = numbered(400_000);
    let writer = thread::spawn(move || input.write_all(lines.as_bytes()).unwrap_err());
    writer.join().unwrap();
    wait_for_accepted(&disk.log(), 1);
    cluster.revive(BrokerId(1)).await.unwrap();
    let ended = running
        .ended()
        .code(2)
        .says(["cannot store records any more", "No space left"]);
    let [accepted_records, acked, queued] =
        ["accepted", "acked", "left"].map(|name| ended.count(name));
    assert_eq!(accepted_records, acked + queued);
    let (again, code) = disk.again();
    assert_eq!((code, again["replayed"].as_u64()), (0, Some(queued)));
    let reported = accepted(&disk.log()).last().copied().unwrap();
    for partition in 0..partitions {
        // In order.
        assert_reported(&values(&cluster, partition), 0);
    }
    let mut all = all_values(&cluster);
    all.sort_by_key(|value| number(value));
    assert_reported(&all, reported);
}
