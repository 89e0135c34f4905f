//! The cells: which client meets which broker, and what they do.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::command::run;
use super::packaged;
use super::server::Server;
use super::tools::Tools;
use crate::failure::{Context as _, Failure};
use crate::kafka;

/// Number of records that a cell sends and reads back.
const RECORDS: usize = 500;

const PARTITIONS: &str = "6";

/// A client and a broker.
pub(super) struct Cell {
    /// The name on the command line.
    pub(super) name: &'static str,
    pub(super) client: &'static str,
    pub(super) broker: &'static str,
    /// Result, in a few words.
    pub(super) run: fn(&Tools) -> Result<String, Failure>,
}

/// All of them.
pub(super) const CELLS: &[Cell] = &[
    of_broker(
        "librdkafka-mock",
        "librdkafka's mock cluster",
        librdkafka_mock,
    ),
    of_broker("kfake", "franz-go's kfake", kfake),
    of_broker("tansu", "tansu", tansu),
    of_client("kcat", "kcat", kcat),
    of_client("confluent-kafka", "confluent-kafka", |tools| {
        python(tools, "confluent-kafka")
    }),
    of_client("kafka-python", "kafka-python", |tools| {
        python(tools, "kafka-python")
    }),
    of_client("aiokafka", "aiokafka", |tools| python(tools, "aiokafka")),
    of_client("java", "Kafka's Java clients", java),
    of_client("franz-go", "franz-go", franz_go),
    of_client("packaged-codec", "wolff-codec as packaged", |tools| {
        round_trip(
            tools,
            "packaged-codec",
            packaged::program(tools, "use_codec")?,
        )
    }),
    of_client("packaged-client", "wolff-client as packaged", |tools| {
        round_trip(
            tools,
            "packaged-client",
            packaged::program(tools, "use_client")?,
        )
    }),
];

const fn of_broker(
    name: &'static str,
    broker: &'static str,
    run: fn(&Tools) -> Result<String, Failure>,
) -> Cell {
    Cell {
        name,
        client: "wolff produce",
        broker,
        run,
    }
}

const fn of_client(
    name: &'static str,
    client: &'static str,
    run: fn(&Tools) -> Result<String, Failure>,
) -> Cell {
    Cell {
        name,
        client,
        broker: "wolff broker",
        run,
    }
}

fn librdkafka_mock(tools: &Tools) -> Result<String, Failure> {
    let mut broker = tools.verify();
    broker.args(["mock-cluster", "--topic", "t", "--partitions", PARTITIONS]);
    let broker = Server::start(&mut broker, &tools.file("mock.log"), first_line)?;
    let input = produce_to(tools, &broker)?;
    // kafka-python does not get on with this broker: librdkafka reads its own.
    let mut check = tools.verify();
    check.args(["check", "--brokers", &broker.address, "--topic", "t"]);
    run(check.arg("--input").arg(&input), &tools.file("check.out"))?;
    Ok(format!("{RECORDS} records there and back"))
}

fn kfake(tools: &Tools) -> Result<String, Failure> {
    let mut broker = tools.franz_go()?;
    broker.args(["kfake", "t", PARTITIONS]);
    let broker = Server::start(&mut broker, &tools.file("kfake.log"), first_line)?;
    produce_and_read(tools, &broker)
}

fn tansu(tools: &Tools) -> Result<String, Failure> {
    let port = kafka::free_port()?;
    let url = format!("tcp://127.0.0.1:{port}");
    let mut broker = tools.tansu()?;
    broker.args(["broker", "--storage-engine", "memory://tansu/"]);
    broker.args(["--listener-url", &url, "--advertised-listener-url", &url]);
    let address = format!("127.0.0.1:{port}");
    let broker = Server::start(&mut broker, &tools.file("tansu.log"), |line| {
        line.starts_with("ready").then(|| address.clone())
    })?;
    let mut create = tools.wolff();
    create.args(["topic", "create", "--brokers", &broker.address]);
    create.args(["--partitions", PARTITIONS, "t"]);
    run(&mut create, &tools.file("create.out"))?;
    produce_and_read(tools, &broker)
}

/// kfake and the mock cluster print where they listen, and nothing else.
fn first_line(line: &str) -> Option<String> {
    Some(line.to_owned())
}

/// Produces lines to the topic `t`; the file with them.
fn produce_to(tools: &Tools, broker: &Server) -> Result<PathBuf, Failure> {
    let lines: String = (0..RECORDS)
        .map(|number| format!("line {number}\n"))
        .collect();
    let input = tools.file("lines");
    fs::write(&input, &lines).context(input.display())?;
    let mut produce = tools.wolff();
    produce.args(["produce", "--brokers", &broker.address, "--topic", "t"]);
    run(produce.arg(&input), &tools.file("produce.out"))?;
    Ok(input)
}

/// Produces lines to the topic `t`, and has kafka-python read them.
fn produce_and_read(tools: &Tools, broker: &Server) -> Result<String, Failure> {
    let input = produce_to(tools, broker)?;
    let lines = fs::read_to_string(&input).context(input.display())?;
    let mut read = tools.python("round_trip.py")?;
    read.args(["read", &broker.address, "t", &RECORDS.to_string()]);
    let read = run(&mut read, &tools.file("read.out"))?;
    compare(&read, &lines)
}

/// Each line once.
fn compare(read: &str, sent: &str) -> Result<String, Failure> {
    let mut counts: BTreeMap<&str, i32> = sent.lines().map(|line| (line, 0)).collect();
    for line in read.lines() {
        *counts
            .get_mut(line)
            .ok_or_else(|| Failure::new(format!("`{line}` was never sent")))? += 1;
    }
    if let Some((line, count)) = counts.iter().find(|(_, count)| **count != 1) {
        return Err(Failure::new(format!("`{line}` is there {count} times")));
    }
    Ok(format!("{} records there and back", counts.len()))
}

/// `wolff broker` with a topic `t`.
fn broker(tools: &Tools, name: &str) -> Result<Server, Failure> {
    let mut broker = tools.wolff();
    broker.args(["broker", "--listen", "127.0.0.1:0"]);
    broker.args(["--topic", &format!("t:{PARTITIONS}")]);
    Server::start(
        &mut broker,
        &tools.file(&format!("broker-{name}.log")),
        |line| line.strip_prefix("listening on ").map(str::to_owned),
    )
}

fn round_trip(tools: &Tools, name: &str, mut client: Command) -> Result<String, Failure> {
    let broker = broker(tools, name)?;
    client.args([&broker.address, "t", &RECORDS.to_string()]);
    let output = run(&mut client, &tools.file(&format!("{name}.out")))?;
    Ok(output.trim().replace('\n', "; "))
}

fn python(tools: &Tools, name: &str) -> Result<String, Failure> {
    let mut client = tools.python("round_trip.py")?;
    client.arg(name);
    round_trip(tools, name, client)
}

fn java(tools: &Tools) -> Result<String, Failure> {
    round_trip(tools, "java", tools.java("RoundTrip.java")?)
}

fn franz_go(tools: &Tools) -> Result<String, Failure> {
    let mut client = tools.franz_go()?;
    client.arg("round-trip");
    round_trip(tools, "franz-go", client)
}

fn kcat(tools: &Tools) -> Result<String, Failure> {
    let broker = broker(tools, "kcat")?;
    let lines: String = (0..RECORDS)
        .map(|number| format!("line {number}\n"))
        .collect();
    let input = tools.file("lines");
    fs::write(&input, &lines).context(input.display())?;
    let mut produce = Command::new("kcat");
    produce.args(["-P", "-b", &broker.address, "-t", "t", "-z", "lz4", "-l"]);
    run(produce.arg(&input), &tools.file("kcat-produce.out"))?;
    let mut consume = Command::new("kcat");
    consume.args([
        "-C",
        "-e",
        "-q",
        "-o",
        "beginning",
        "-b",
        &broker.address,
        "-t",
        "t",
    ]);
    let read = run(&mut consume, &tools.file("kcat.out"))?;
    let there_and_back = compare(&read, &lines)?;
    let mut join = Command::new("kcat");
    join.args(["-G", "group", "t", "-b", &broker.address]);
    let log = tools.file("kcat-group.out");
    let refusal = match run(&mut join, &log) {
        Ok(_) => String::new(),
        Err(_refused) => fs::read_to_string(log.with_extension("err")).context(log.display())?,
    };
    let words = "JoinGroup failed: Broker: Group authorization failed";
    match refusal.contains(words) {
        true => Ok(format!("{there_and_back}; a group: {words}")),
        false => Err(Failure::new("a group is let in, or hangs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_missing_doubled_or_foreign_fails_a_cell() {
        assert!(compare("b\na\n", "a\nb\n").is_ok());
        assert!(compare("a\n", "a\nb\n").is_err());
        assert!(compare("a\nb\nb\n", "a\nb\n").is_err());
        assert!(compare("a\nb\nc\n", "a\nb\n").is_err());
    }
}
