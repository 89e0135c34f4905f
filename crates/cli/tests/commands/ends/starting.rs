//! Starts against brokers that do not let us in yet: with a queue directory records wait, and it is
//! said why.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wolff::ErrorCode;
use wolff::client::codec::messages::MetadataResponse;
use wolff_testbroker::{Cluster, Fault, Sasl, SaslMechanism};

use super::{assert_sum, produce};
use crate::support::{
    Running, TOPIC, all_values, cluster, directory, numbered, run, wait_for_accepted, wolff,
};

fn listener(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_queues_with_a_queue_directory_and_is_told() {
    let users = Sasl::new([SaslMechanism::Plain]).user("alice", "right");
    let cluster = Cluster::builder().topic(TOPIC, 1).sasl(users).start().await;
    let cluster = cluster.unwrap();
    let room = directory();
    let secured = |password: &str| {
        let mut command = produce(&cluster.bootstrap(), Some(room.path()), "1");
        command
            .args(["--security-protocol", "SASL_PLAINTEXT"])
            .args(["--sasl-mechanism", "plain", "--username", "alice"])
            .arg("--allow-unencrypted-password")
            .env("WOLFF_PASSWORD", password);
        command
    };
    let ended = run(&mut secured("wrong"), numbered(3)).code(3).says([
        "refused",
        &cluster.bootstrap(),
        room.path().to_str().unwrap(),
    ]);
    assert_eq!(ended.count("left"), 3);
    assert_sum(&ended);
    let ended = run(&mut secured("right"), "").code(0);
    assert_eq!(ended.count("replayed"), 3);
}

#[test]
fn a_proxy_that_answers_503_queues_with_a_queue_directory_and_is_told() {
    let address = listener(|mut stream| {
        let _request = stream.read(&mut [0; 1024]);
        let _gone =
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    });
    let room = directory();
    let ended = run(&mut produce(&address, Some(room.path()), "0.5"), "a\n")
        .code(3)
        .says([&address, "HTTP", room.path().to_str().unwrap()]);
    assert_eq!(ended.count("left"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset_for_a_while_queue_with_a_queue_directory() {
    let cluster = cluster(1).await;
    let target = cluster.bootstrap();
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    // A middlebox that lets requests in, and resets.
    let address = listener(move |mut stream| {
        if well.load(Ordering::Acquire) {
            let onward = TcpStream::connect(&target).unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), onward.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut back = onward;
            thread::spawn(move || std::io::copy(&mut back, &mut stream));
        } else {
            let _request = stream.read(&mut [0; 64]);
        }
    });
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    cluster.advertise(1, "127.0.0.1", port).unwrap();
    let room = directory();
    let log = room.path().join("log");
    let queue = room.path().join("q");
    let mut command = produce(&address, Some(&queue), "40");
    let mut running = Running::start(command.arg("--accepted-log").arg(&log));
    let mut input = running.input();
    input.write_all(b"line 0\n").unwrap();
    wait_for_accepted(&log, 1);
    is_well.store(true, Ordering::Release);
    drop(input);
    let ended = running.ended().code(0);
    assert_eq!(ended.count("acked"), 1);
    assert_eq!(all_values(&cluster), [b"line 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_queues_with_a_queue_directory_until_it_is_created() {
    let cluster = cluster(1).await;
    let room = directory();
    let (queue, log) = (room.path().join("q"), room.path().join("log"));
    let mut command = wolff([
        "produce",
        "--json",
        "--topic",
        "later",
        "--drain-timeout",
        "40",
    ]);
    command.arg("--brokers").arg(cluster.bootstrap());
    command.arg("--queue-dir").arg(&queue);
    command.arg("--accepted-log").arg(&log);
    let mut running = Running::start(&mut command);
    let mut input = running.input();
    input.write_all(numbered(3).as_bytes()).unwrap();
    wait_for_accepted(&log, 3);
    cluster.create_topic("later", 1).unwrap();
    drop(input);
    let ended = running
        .ended()
        .code(0)
        .says(["\"later\"", "does not exist", "topic create"]);
    assert_eq!(ended.count("acked"), 3);
    assert_sum(&ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_being_created_is_asked_for_again() {
    for code in [
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode(7_777),
    ] {
        let cluster = cluster(1).await;
        let not_yet = Fault::edit_answer(move |answer: &mut MetadataResponse| {
            for topic in &mut answer.topics {
                topic.error_code = code;
                topic.partitions.clear();
            }
        });
        cluster.inject(not_yet.topic(TOPIC).times(2));
        let ended = run(&mut produce(&cluster.bootstrap(), None, "40"), "a\n").code(0);
        assert_eq!(ended.count("acked"), 1, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_error_that_lasts_is_the_reason_at_the_end_and_not_that_nobody_answers() {
    let cluster = cluster(1).await;
    let refusing = Fault::edit_answer(|answer: &mut MetadataResponse| {
        for topic in &mut answer.topics {
            topic.error_code = ErrorCode::LEADER_NOT_AVAILABLE;
            topic.partitions.clear();
        }
    });
    cluster.inject(refusing.topic(TOPIC).always());
    let room = directory();
    for queue in [None, Some(room.path().join("q"))] {
        let code = if queue.is_some() { 3 } else { 2 };
        let mut command = produce(&cluster.bootstrap(), queue.as_deref(), "3");
        let ended = run(&mut command, "a\n").code(code);
        let last = ended.stderr.lines().filter(|line| {
            line.contains("lost with this process") || line.contains("left in the queue")
        });
        let last = last.collect::<Vec<_>>().join("; ");
        assert!(last.contains("LEADER_NOT_AVAILABLE"), "{ended:#?}");
        assert!(!ended.stderr.contains("no broker answers"), "{ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contradicts_itself_is_refused_at_once_with_a_queue_directory_too() {
    let cluster = cluster(1).await;
    let room = directory();
    let queue = room.path().join("q");
    // A certificate for a connection without TLS.
    let mut command = produce(&cluster.bootstrap(), Some(&queue), "40");
    command.args(["--security-protocol", "plaintext"]);
    command.arg("--ca-file").arg(room.path());
    run(&mut command, "a\n").code(1);
    // A partition that the topic does not have.
    let mut command = produce(&cluster.bootstrap(), Some(&queue), "40");
    run(command.args(["--partitioner", "7"]), "a\n").code(1);
}
