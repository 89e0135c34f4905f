//! The foreign clients: programs in `peers/` that speak by other implementations of the protocol.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::connection::Failure;
use crate::sample_lines;

/// A foreign client.
pub(crate) struct Peer {
    /// With its version.
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
}

impl Peer {
    /// Those whose tools are on this machine. WOLFF_KAFKA_LIBS names the folder with Kafka's jars.
    pub(crate) fn at_hand(kafka_version: &str) -> Vec<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let mut found = Vec::new();
        if let Ok(libs) = std::env::var("WOLFF_KAFKA_LIBS") {
            found.push(Self {
                name: format!("java-{kafka_version}"),
                program: PathBuf::from("java"),
                arguments: [
                    "-cp",
                    &format!("{libs}/*"),
                    "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
                    "Peer.java",
                ]
                .map(String::from)
                .to_vec(),
                folder: peers.join("java"),
            });
        }
        if let Ok(program) = std::env::current_exe()
            && let beside = program.with_file_name("librdkafka-peer")
            && beside.exists()
        {
            found.push(Self {
                name: String::from("librdkafka"),
                program: beside,
                arguments: Vec::new(),
                folder: peers.clone(),
            });
        }
        let franz_go = peers.join("franz-go");
        if let Some(version) = franz_go_version(&franz_go) {
            found.push(Self {
                name: format!("franz-go-{version}"),
                program: PathBuf::from("go"),
                arguments: ["run", "."].map(String::from).to_vec(),
                folder: franz_go,
            });
        }
        found.iter_mut().for_each(Self::complete_name);
        found
    }

    /// Prefix of the names of its topics.
    pub(crate) fn prefix(&self) -> String {
        self.name.replace('.', "-")
    }

    /// Makes it speak to each of these brokers in turn.
    pub(crate) fn drive(&self, brokers: &[String]) -> Result<(), Failure> {
        let mut arguments = vec!["drive"];
        arguments.extend(brokers.iter().map(String::as_str));
        self.run(&arguments).map(drop)
    }

    /// Makes it write the samples.
    pub(crate) fn write(&self, broker: &str) -> Result<(), Failure> {
        self.run(&["write", broker, &self.prefix()]).map(drop)
    }

    /// Makes it read topics, and sees that they hold the samples.
    pub(crate) fn read(&self, broker: &str, topics: &[String]) -> Result<(), Failure> {
        let mut arguments = vec!["read", broker];
        arguments.extend(topics.iter().map(String::as_str));
        let read = self.run(&arguments)?;
        let expected: String = topics
            .iter()
            .map(|topic| format!("topic {topic}\n{}", sample_lines()))
            .collect();
        if read == expected {
            return Ok(());
        }
        let difference = read
            .lines()
            .zip(expected.lines())
            .find(|(read, expected)| read != expected);
        Err(format!("{} read something else: {difference:?}", self.name).into())
    }

    /// The error codes and APIs that it knows; none where nobody can ask it.
    pub(crate) fn tables(&self) -> Result<Option<String>, Failure> {
        if self.name.starts_with("java-") {
            self.run(&["tables"]).map(Some)
        } else {
            Ok(None)
        }
    }

    /// librdkafka knows its own version.
    fn complete_name(&mut self) {
        if self.name == "librdkafka"
            && let Ok(version) = self.run(&["version"])
        {
            self.name = format!("librdkafka-{}", version.trim());
        }
    }

    /// Its standard output; it is given the samples.
    fn run(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.name))?;
        if let Some(mut stdin) = child.stdin.take() {
            // Whoever does not want them has ended before.
            let _ = stdin.write_all(sample_lines().as_bytes());
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let (name, status) = (&self.name, output.status);
            return Err(format!("{name} {arguments:?}: {status}").into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The version that `go.mod` requires; none without Go.
fn franz_go_version(folder: &Path) -> Option<String> {
    let go = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .ok()?;
    let requirements = std::fs::read_to_string(folder.join("go.mod")).ok()?;
    let module = requirements
        .lines()
        .find_map(|line| line.trim().strip_prefix("github.com/twmb/franz-go v"))?;
    go.success().then(|| {
        module
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}
