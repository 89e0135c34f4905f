//! Wrong usage is exit code 1, with words that help; help is exit code 0.

use crate::support::{directory, run, wolff};

#[test]
fn help_is_for_stdout_and_version_is_known() {
    let ended = run(&mut wolff(["--help"]), "").code(0);
    assert!(ended.stdout.contains("wolff demo") && ended.stdout.contains("Exit codes"));
    let ended = run(&mut wolff(["produce", "--help"]), "").code(0);
    for word in [
        "--queue-dir",
        "--accepted-log",
        "jsonl",
        "\"headers\"",
        "Exit codes",
    ] {
        assert!(ended.stdout.contains(word), "{word}");
    }
    let ended = run(&mut wolff(["--version"]), "").code(0);
    assert_eq!(
        ended.stdout,
        concat!("wolff ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn wrong_usage_is_exit_code_1_and_names_the_flag() {
    let produce = ["produce", "--brokers", "127.0.0.1:1", "--topic", "t"];
    let cases: [(&[&str], &str); 24] = [
        (&[], "Usage"),
        (&["--frobnicate"], "--frobnicate"),
        (&["frobnicate"], "frobnicate"),
        (&["produce"], "--brokers"),
        (&["produce", "--brokers", "127.0.0.1:1"], "--topic"),
        (
            &["produce", "--brokers", "127.0.0.1:x", "--topic", "t"],
            "\"x\" is not a port",
        ),
        (&["produce", "--brokers", "", "--topic", "t"], "--brokers"),
        (
            &["produce", "--brokers", "SASL_SSL://a:1", "--topic", "t"],
            "no SASL mechanism",
        ),
        (
            &["produce", "--brokers", "a:1", "--topic", "a b"],
            "topic name",
        ),
        (&["--unknown"], "--unknown"),
        (&["--acks", "some"], "--acks"),
        (&["--compression", "zip"], "--compression"),
        (&["--partitioner", "-1"], "--partitioner"),
        (&["--partitioner", "best"], "murmur2"),
        (&["--key-delimiter", ""], "--key-delimiter"),
        (&["--format", "xml"], "--format"),
        (&["--linger-ms", "soon"], "--linger-ms"),
        (&["--max-batch-bytes", "5"], "--max-batch-bytes"),
        (&["--drain-timeout", "-3"], "--drain-timeout"),
        (&["--accepted-log", "/dev/null"], "--queue-dir"),
        (
            &["--format", "jsonl", "--key-delimiter", ":"],
            "--key-delimiter",
        ),
        (&["broker", "--listen", "here"], "--listen"),
        (&["broker", "--topic", "t"], "NAME:PARTITIONS"),
        (
            &[
                "topic",
                "create",
                "--brokers",
                "a:1",
                "--partitions",
                "0",
                "t",
            ],
            "--partitions",
        ),
    ];
    for (args, word) in cases {
        let is_of_produce = args.len() <= 4
            && args.first().is_some_and(|first| first.starts_with("--"))
            && !["--frobnicate"].contains(&args[0]);
        let all: Vec<&str> = match is_of_produce {
            true => produce.iter().chain(args).copied().collect(),
            false => args.to_vec(),
        };
        let ended = run(&mut wolff(&all), "").code(1).says([word]);
        assert_eq!(ended.stdout, "", "{all:?}");
    }
}

#[test]
fn a_bad_log_level_is_told() {
    let mut command = wolff(["topic", "list", "--brokers", "127.0.0.1:1"]);
    run(command.env("WOLFF_LOG", "wolff=loud"), "")
        .code(1)
        .says(["WOLFF_LOG", "loud", "info"]);
}

#[test]
fn an_accepted_log_that_cannot_be_written_is_told_at_once() {
    let directory = directory();
    let mut command = wolff([
        "produce",
        "--brokers",
        "127.0.0.1:1",
        "--topic",
        "t",
        "--queue-dir",
    ]);
    command
        .arg(directory.path().join("q"))
        .args(["--accepted-log", "/nonexistent/log"]);
    run(&mut command, "a\n")
        .code(1)
        .says(["--accepted-log", "/nonexistent/log"]);
    assert!(!directory.path().join("q").exists(), "nothing was begun");
}
