//! Input and clusters that are not what they should be: one clear message, and nothing that was
//! accepted is lost.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::{
    Running, TOPIC, cluster, directory, numbered, produce, run, values, wait_for, wolff,
};

/// A listener that does this with each connection.
fn listener(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        listener
            .incoming()
            .for_each(|stream| serve(stream.unwrap()))
    });
    address
}

#[test]
fn a_web_server_is_no_kafka_and_records_wait_only_on_disk() {
    let address = listener(|mut stream| {
        let _request = stream.read(&mut [0; 1024]);
        let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    });
    run(&mut produce(&address), "a\n").code(1).says([
        &address,
        "not a Kafka port",
        "HTTP",
        "--brokers",
    ]);
    run(&mut wolff(["topic", "list", "--brokers", &address]), "")
        .code(1)
        .says(["not a Kafka port"]);
}

#[test]
fn a_port_that_closes_or_says_nothing_may_be_a_broker_that_starts_so_records_wait() {
    let closing = listener(drop);
    let silent = listener(|mut stream| {
        thread::spawn(move || stream.read_to_end(&mut Vec::new()));
    });
    for (address, words) in [(closing, "closed the connection"), (silent, "no answer")] {
        let directory = directory();
        for (queue, code, end) in [
            (Some(directory.path()), 3, "1 record left in the queue"),
            (None, 2, "1 record failed"),
        ] {
            let mut command = wolff(["produce", "--brokers", &address, "--topic", TOPIC]);
            command.args(["--drain-timeout", "0.1"]);
            if let Some(queue) = queue {
                command.arg("--queue-dir").arg(queue);
            }
            run(&mut command, "a\n")
                .code(code)
                .says([words, &address, end]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_is_told_with_the_command_that_creates_it() {
    let cluster = cluster(1).await;
    let brokers = cluster.bootstrap();
    let create = format!("wolff topic create --brokers {brokers} --partitions 6 nowhere");
    let mut command = wolff(["produce", "--brokers", &brokers, "--topic", "nowhere"]);
    run(&mut command, "a\n")
        .code(1)
        .says(["\"nowhere\" does not exist", &brokers, &create]);
    // It may be created later: on disk records wait for that.
    let directory = directory();
    command.args(["--drain-timeout", "0.1", "--queue-dir"]);
    run(command.arg(directory.path()), "a\n").code(3).says([
        "\"nowhere\" does not exist",
        &brokers,
        &create,
        "1 record left in the queue",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_told_before_anything_is_produced() {
    let cluster = cluster(1).await;
    let directory = directory();
    let good = directory.path().join("good");
    fs::write(&good, "a\n").unwrap();
    for bad in [
        directory.path().join("missing"),
        directory.path().to_owned(),
    ] {
        let mut command = produce(&cluster.bootstrap());
        run(command.arg(&good).arg(&bad), "")
            .code(1)
            .says(["cannot read", bad.to_str().unwrap()]);
    }
    assert_eq!(cluster.stats().records(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_in_the_middle_ends_the_input_and_the_rest_is_delivered() {
    let cluster = cluster(1).await;
    let directory = directory();
    let (pipe, gone) = (directory.path().join("pipe"), directory.path().join("gone"));
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    fs::write(&gone, "never read\n").unwrap();
    let running = Running::start(produce(&cluster.bootstrap()).arg(&pipe).arg(&gone));
    let mut writer = fs::File::create(&pipe).unwrap();
    writer.write_all(numbered(5).as_bytes()).unwrap();
    cluster.wait_for(|stats| stats.records() == 5).await;
    // The second file was there when it was looked at.
    fs::remove_file(&gone).unwrap();
    drop(writer);
    running.ended().code(2).says([
        "cannot read",
        gone.to_str().unwrap(),
        "5 records before it were accepted",
    ]);
    assert_eq!(values(&cluster, 0).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_larger_than_the_topic_allows_fails_alone_and_is_named() {
    let cluster = cluster(1).await;
    cluster
        .configure_topic(TOPIC, "max.message.bytes", "200000")
        .unwrap();
    let directory = directory();
    let file = directory.path().join("input");
    fs::write(
        &file,
        format!("first\nsecond\n{}\nlast\n", "x".repeat(300_000)),
    )
    .unwrap();
    for has_queue in [true, false] {
        let before = values(&cluster, 0).len();
        let mut command = produce(&cluster.bootstrap());
        if has_queue {
            command.arg("--queue-dir").arg(directory.path().join("q"));
        }
        let ended = run(command.arg("--json").arg(&file), "").code(2).says([
            &format!("{}:3", file.display()),
            "300000 bytes",
            "max.message.bytes",
            "1 record failed",
        ]);
        let counts = ["accepted", "acked", "failed", "left"].map(|name| ended.count(name));
        assert_eq!(counts, [4, 3, 1, 0]);
        assert_eq!(
            values(&cluster, 0)[before..],
            [&b"first"[..], b"second", b"last"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_larger_than_any_record_fails_alone_and_is_named() {
    let cluster = cluster(1).await;
    let directory = directory();
    let file = directory.path().join("input");
    let long = vec![b'x'; 65 * 1024 * 1024];
    fs::write(&file, [&b"first\n"[..], &long, b"\nlast\n"].concat()).unwrap();
    let ended = run(produce(&cluster.bootstrap()).arg("--json").arg(&file), "")
        .code(2)
        .says([
            &format!("{}:2", file.display()),
            "too large",
            "1 record failed",
        ]);
    let counts = ["accepted", "acked", "refused"].map(|name| ended.count(name));
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(values(&cluster, 0), [&b"first"[..], b"last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_json_line_fails_alone_and_is_named() {
    let cluster = cluster(1).await;
    let input = "{\"value\":\"a\"}\n\n{\"value\":\"b\"}\n{\"value\":oops}\n{\"value\":\"c\"}\n";
    let mut command = produce(&cluster.bootstrap());
    let ended = run(command.args(["--format", "jsonl", "--json"]), input)
        .code(2)
        .says(["<stdin>:4", "column 10", "expected", "1 record failed"]);
    let counts = ["accepted", "acked", "failed", "refused"].map(|name| ended.count(name));
    assert_eq!(counts, [3, 3, 0, 1]);
    assert_eq!(values(&cluster, 0), [b"a", b"b", b"c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_invalid_lines_a_few_are_named_and_all_are_counted() {
    let cluster = cluster(1).await;
    let mut command = produce(&cluster.bootstrap());
    let ended = run(
        command.args(["--format", "jsonl", "--json"]),
        numbered(1_000),
    )
    .code(2)
    .says(["<stdin>:1:", "<stdin>:10:", "1,000 records failed"]);
    assert!(!ended.stderr.contains("<stdin>:11:"), "{ended:#?}");
    assert_eq!(ended.count("refused"), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_line_for_a_partition_that_is_not_there_fails_alone() {
    let cluster = cluster(2).await;
    let input = "{\"partition\":1}\n{\"partition\":2}\n{\"partition\":1}\n";
    run(
        produce(&cluster.bootstrap()).args(["--format", "jsonl"]),
        input,
    )
    .code(2)
    .says(["<stdin>:2", "partition 2", "the topic has 2"]);
    assert_eq!(cluster.stats().records(), 2);
}

#[test]
fn nobody_listening_at_the_other_end_of_stdout_is_no_reason_to_panic() {
    let mut running = Running::start(&mut wolff(["--help"]));
    drop(running.child().stdout.take());
    let code = wait_for("the end", || running.child().try_wait().unwrap()).code();
    assert_eq!(code, Some(0));
}
