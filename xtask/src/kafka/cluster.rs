//! A cluster from its start to its stop.

use super::certificates::Certificates;
use super::changes::Changes;
use super::install;
use super::java;
use super::layout::Layout;
use super::node::{self, Node};
use super::ports;
use super::process::Activity;
use super::settings::{NodePorts, Settings, Wanted};
use crate::failure::{Context as _, Failure};
use crate::program;
use rustix::process::Signal;
use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time from the start of nodes until they are ready. Seconds suffice; a busy machine
/// gets more.
const START_PATIENCE: Duration = Duration::from_secs(180);

/// Interval at which starting nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A cluster by its name, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Cluster {
    layout: Layout,
    name: String,
}

impl Cluster {
    /// The cluster of this name.
    pub(crate) fn named(layout: Layout, name: &str) -> Result<Self, Failure> {
        let is_plain =
            |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(Failure::new(format!("`{name}` is no name for a cluster"))
                .advise("Use letters, digits, `-` and `_`: the name becomes a folder's."));
        }
        Ok(Self {
            layout,
            name: name.to_owned(),
        })
    }

    /// Starts it and waits until every node is ready. A cluster of the wanted kind that runs
    /// already is left as it is.
    pub(crate) fn start(&self, wanted: &Wanted) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let folders = node::folders(&self.directory())?;
        if folders.iter().any(|folder| node::lives_in(folder)) {
            if self.is_as_wanted(&self.settings_or_failure()?, wanted)? {
                eprintln!("cluster `{}` runs already", self.name);
                return Ok(());
            }
        } else if self.directory().exists() {
            eprintln!("removing what a dead cluster `{}` left behind", self.name);
        }
        self.remove()?;
        java::check()?;
        let libs = install::broker(&self.layout, &wanted.version)?;
        let certificates = Certificates::in_directory(self.layout.certificates())?;

        let numbers = usize::from(wanted.nodes);
        let ports = ports::choose(numbers.saturating_mul(NodePorts::COUNT), wanted.first_port)?;
        let settings = Settings {
            version: wanted.version.clone(),
            cluster_id: new_cluster_id(),
            nodes: ports
                .chunks(NodePorts::COUNT)
                .filter_map(NodePorts::from_slice)
                .collect(),
        };
        let nodes = self.nodes_of(&settings);
        let started = Instant::now();
        eprintln!("starting Kafka {}, {} …", settings.version, counted(&nodes));
        fs::create_dir_all(self.directory()).context(self.directory().display())?;
        settings.save(&self.settings_file())?;

        let running = format_all(&nodes, &settings, &libs, &certificates)
            .and_then(|()| {
                nodes
                    .iter()
                    .try_for_each(|node| node.spawn(&libs, &Changes::default()))
            })
            .and_then(|()| wait_until_ready(&nodes, &nodes));
        if let Err(failure) = running {
            self.remove()?;
            return Err(failure);
        }
        eprintln!(
            "cluster `{}` is ready after {:.1} s",
            self.name,
            started.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Kills every node and removes all that the cluster has written. Fine when there is none.
    pub(crate) fn stop(&self) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let was_there = self.directory().exists();
        self.remove()?;
        if was_there {
            eprintln!("cluster `{}` is stopped and removed", self.name);
        } else {
            eprintln!("there is no cluster `{}`", self.name);
        }
        Ok(())
    }

    /// Prints one line per node; a [`Failure`] when there is no cluster.
    pub(crate) fn status(&self) -> Result<(), Failure> {
        let settings = self.settings_or_failure()?;
        println!(
            "cluster `{}`: Kafka {}, {}",
            self.name,
            settings.version,
            self.directory().display()
        );
        for node in self.nodes_of(&settings) {
            let NodePorts {
                plaintext,
                tls,
                sasl_plaintext,
                sasl_tls,
                mutual_tls,
                ..
            } = node.ports;
            println!(
                "node {}: {}; 127.0.0.1: plaintext {plaintext}, TLS {tls}, SASL {sasl_plaintext}, SASL over TLS {sasl_tls}, TLS with client certificate {mutual_tls}; log {}",
                node.number,
                node.describe(),
                node.log_file().display(),
            );
        }
        Ok(())
    }

    /// The environment for the tests, one `NAME=value` a line.
    pub(crate) fn environment(&self) -> Result<String, Failure> {
        let settings = self.settings_or_failure()?;
        let addresses = |port: fn(&NodePorts) -> u16| {
            let addresses: Vec<String> = settings
                .nodes
                .iter()
                .map(|node| format!("127.0.0.1:{}", port(node)))
                .collect();
            addresses.join(",")
        };
        let certificates = Certificates::in_directory(self.layout.certificates())?;
        let logs: Vec<String> = self
            .nodes_of(&settings)
            .iter()
            .map(|node| node.log_file().display().to_string())
            .collect();
        let mut text = String::new();
        for (name, value) in [
            ("WOLFF_KAFKA", addresses(|ports| ports.plaintext)),
            ("WOLFF_KAFKA_TLS", addresses(|ports| ports.tls)),
            (
                "WOLFF_KAFKA_SASL_PLAINTEXT",
                addresses(|ports| ports.sasl_plaintext),
            ),
            ("WOLFF_KAFKA_SASL_TLS", addresses(|ports| ports.sasl_tls)),
            ("WOLFF_KAFKA_MTLS", addresses(|ports| ports.mutual_tls)),
            (
                "WOLFF_KAFKA_CA",
                certificates.authority().display().to_string(),
            ),
            (
                "WOLFF_KAFKA_CLIENT_CERT",
                certificates.client_certificate().display().to_string(),
            ),
            (
                "WOLFF_KAFKA_CLIENT_KEY",
                certificates.client_key().display().to_string(),
            ),
            ("WOLFF_KAFKA_SESSION_MS", node::SESSION_MS.to_string()),
            ("WOLFF_KAFKA_USER", node::USER.to_owned()),
            ("WOLFF_KAFKA_PASSWORD", node::PASSWORD.to_owned()),
            ("WOLFF_KAFKA_CLUSTER", self.name.clone()),
            ("WOLFF_KAFKA_VERSION", settings.version.clone()),
            ("WOLFF_KAFKA_LOGS", logs.join(",")),
        ] {
            let _infallible = writeln!(text, "{name}={value}");
        }
        Ok(text)
    }

    /// Kills nodes as `kill -9` does.
    pub(crate) fn kill(&self, numbers: &[u16]) -> Result<(), Failure> {
        self.chosen(numbers)?.iter().try_for_each(Node::kill)
    }

    /// Freezes nodes.
    pub(crate) fn pause(&self, numbers: &[u16]) -> Result<(), Failure> {
        self.chosen(numbers)?
            .iter()
            .try_for_each(|node| node.signal(Signal::STOP))
    }

    /// Lets frozen nodes go on.
    pub(crate) fn resume(&self, numbers: &[u16]) -> Result<(), Failure> {
        self.chosen(numbers)?
            .iter()
            .try_for_each(|node| node.signal(Signal::CONT))
    }

    /// Starts nodes again with the data they had, after a clean shutdown if they still run, and
    /// waits until they are ready. Until their next restart they do what `changes` says.
    pub(crate) fn restart(&self, numbers: &[u16], changes: &Changes) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let settings = self.settings_or_failure()?;
        let libs = install::broker(&self.layout, &settings.version)?;
        let certificates = Certificates::in_directory(self.layout.certificates())?;
        let chosen = self.chosen(numbers)?;
        chosen.iter().try_for_each(Node::shut_down)?;
        for node in &chosen {
            node.configure(&settings, &certificates, changes)?;
            node.spawn(&libs, changes)?;
        }
        // Without a majority of the controllers no node can become ready, and that is what the
        // caller asked for.
        let all = self.nodes_of(&settings);
        let running = all
            .iter()
            .filter(|node| node.activity() == Some(Activity::Running))
            .count();
        if running > all.len() / 2 {
            wait_until_ready(&chosen, &chosen)
        } else {
            eprintln!(
                "{running} of {} run: no majority, so not waiting until they are ready",
                counted(&all)
            );
            Ok(())
        }
    }

    /// Returns whether it runs, complete and as wanted. `false` when it is dead; a [`Failure`] when
    /// it is something else.
    fn is_as_wanted(&self, settings: &Settings, wanted: &Wanted) -> Result<bool, Failure> {
        let nodes = self.nodes_of(settings);
        let living = nodes
            .iter()
            .filter(|node| node.activity().is_some())
            .count();
        let advice =
            "`cargo xtask kafka stop` removes it; `--cluster NAME` starts another one beside it.";
        if living == 0 {
            return Ok(false);
        }
        if living < nodes.len() {
            let state = format!(
                "cluster `{}` is there, but only {living} of {} live",
                self.name,
                counted(&nodes)
            );
            return Err(Failure::new(state).advise(format!(
                "`cargo xtask kafka restart N` starts a dead one again.\n{advice}"
            )));
        }
        if settings.version != wanted.version || nodes.len() != usize::from(wanted.nodes) {
            let state = format!(
                "cluster `{}` runs Kafka {} with {}",
                self.name,
                settings.version,
                counted(&nodes)
            );
            return Err(Failure::new(state).advise(advice));
        }
        Ok(true)
    }

    /// Kills what lives and removes the folder. The description is not needed for it: another
    /// version of this program may have written it.
    fn remove(&self) -> Result<(), Failure> {
        let directory = self.directory();
        for folder in node::folders(&directory)? {
            node::kill_in(&folder)?;
        }
        if directory.exists() {
            fs::remove_dir_all(&directory).context(directory.display())?;
        }
        Ok(())
    }

    fn directory(&self) -> PathBuf {
        self.layout.cluster(&self.name)
    }

    fn settings_file(&self) -> PathBuf {
        self.directory().join("cluster.properties")
    }

    fn settings_or_failure(&self) -> Result<Settings, Failure> {
        Settings::load(&self.settings_file())?.ok_or_else(|| {
            Failure::new(format!("there is no cluster `{}`", self.name))
                .advise("`cargo xtask kafka start` starts one.")
        })
    }

    fn nodes_of(&self, settings: &Settings) -> Vec<Node> {
        let directory = self.directory();
        (1_u16..)
            .zip(&settings.nodes)
            .map(|(number, ports)| Node::new(number, *ports, &directory))
            .collect()
    }

    /// The nodes of these numbers; a number that does not exist is a [`Failure`].
    fn chosen(&self, numbers: &[u16]) -> Result<Vec<Node>, Failure> {
        let nodes = self.nodes_of(&self.settings_or_failure()?);
        let find = |number: &u16| {
            let node = nodes.iter().find(|node| node.number == *number);
            node.cloned().ok_or_else(|| {
                Failure::new(format!("cluster `{}` has no node {number}", self.name))
                    .advise(format!("Its nodes are numbered from 1 to {}.", nodes.len()))
            })
        };
        numbers.iter().map(find).collect()
    }

    /// Keeps other commands from changing anything meanwhile. Released when dropped.
    fn lock(&self) -> Result<File, Failure> {
        let path = self.layout.lock_file();
        fs::create_dir_all(self.layout.root()).context(self.layout.root().display())?;
        let file = File::create(&path).context(path.display())?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => eprintln!("waiting for another `cargo xtask kafka` …"),
            Err(TryLockError::Error(error)) => return Err(error).context(path.display()),
        }
        file.lock().context(path.display())?;
        Ok(file)
    }
}

/// Formats the storage of all nodes side by side: each takes a Java start.
fn format_all(
    nodes: &[Node],
    settings: &Settings,
    libs: &Path,
    certificates: &Certificates,
) -> Result<(), Failure> {
    thread::scope(|scope| {
        let tasks: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(|| node.format(settings, libs, certificates)))
            .collect();
        tasks.into_iter().try_for_each(|task| match task.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::new("formatting the storage panicked")),
        })
    })
}

/// Waits until each of `nodes` answers and knows all of `peers`. A node that dies meanwhile is a
/// [`Failure`] with its log.
fn wait_until_ready(nodes: &[Node], peers: &[Node]) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        if nodes.iter().all(|node| node.is_ready(peers)) {
            return Ok(());
        }
        let is_late = started.elapsed() > START_PATIENCE;
        if let Some(node) = nodes
            .iter()
            .find(|node| is_late || node.activity().is_none())
        {
            let what = if node.activity().is_none() {
                "died"
            } else {
                "is not ready yet"
            };
            let failure = Failure::new(format!(
                "node {} {what} {} s after its start",
                node.number,
                started.elapsed().as_secs()
            ));
            return Err(failure.advise(format!(
                "The end of its log:\n{}",
                program::tail_of_file(&node.log_file())
            )));
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// A fresh KRaft cluster id: 16 bytes as base64url without padding, so the last letter carries two
/// bits only.
fn new_cluster_id() -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let random = RandomState::new();
    let letters = (0_u64..21).filter_map(|position| {
        let index = usize::try_from(random.hash_one(position) % 62).unwrap_or(0);
        LETTERS.get(index).map(|letter| char::from(*letter))
    });
    letters.chain(['A']).collect()
}

fn counted(nodes: &[Node]) -> String {
    match nodes.len() {
        1 => "1 node".to_owned(),
        count => format!("{count} nodes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_another_version_of_this_program_left_is_named_and_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::in_directory(directory.path().to_owned());
        let cluster = Cluster::named(layout, "old").unwrap();
        let node = cluster.directory().join("node-1");
        fs::create_dir_all(&node).unwrap();
        let settings = "version=4.0.0\ncluster_id=x\nports=1,2,3\nnews=1\n";
        fs::write(cluster.settings_file(), settings).unwrap();
        // Its command line has what a node's has.
        let properties = node.join("server.properties");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 3600; true"]).arg(&properties);
        let mark = properties.display().to_string();
        let daemon = super::super::process::Daemon::new(node.join("kafka.pid"), mark);
        daemon.spawn(&mut command, &node.join("log")).unwrap();

        let wanted = Wanted {
            version: "4.0.0".into(),
            nodes: 1,
            first_port: None,
        };
        let said = cluster.start(&wanted).unwrap_err().to_string();
        assert!(said.contains("another version"), "{said}");
        assert!(said.contains("cargo xtask kafka stop"), "{said}");
        assert!(daemon.pid().is_some(), "it is not killed unasked");
        cluster.stop().unwrap();
        assert!(daemon.pid().is_none());
        assert!(!cluster.directory().exists());
    }

    #[test]
    fn cluster_ids_have_the_form_that_kafka_wants_and_differ() {
        let id = new_cluster_id();
        assert_eq!(id.len(), 22);
        assert!(id.chars().all(|letter| letter.is_ascii_alphanumeric()));
        assert_ne!(id, new_cluster_id());
    }
}
