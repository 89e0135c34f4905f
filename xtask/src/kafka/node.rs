//! One node of a cluster: its folder, its configuration, its process.

use super::certificates::Certificates;
use super::changes::Changes;
use super::java;
use super::probe;
use super::process::{Activity, Daemon};
use super::settings::{NodePorts, Settings};
use crate::failure::{Context as _, Failure};
use crate::program;
use rustix::process::Signal;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// User of the SASL listeners, for PLAIN and SCRAM alike.
pub(crate) const USER: &str = "wolff";

/// The user's password. It guards nothing: everything listens on loopback only.
pub(crate) const PASSWORD: &str = "wolff-secret";

/// Duration of a session over SASL and TLS before the client must authenticate again, in
/// milliseconds.
pub(crate) const SESSION_MS: u32 = 10_000;

/// Largest heap of a node. Three nodes and a build fit a small machine.
const HEAP: &str = "-Xmx512m";

/// Longest time that a node may take to shut down in order before it is killed.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(30);

/// Longest time until a killed process is gone.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// One node, running or not.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its number, from 1; also its id in the cluster.
    pub(crate) number: u16,
    /// Its listeners.
    pub(crate) ports: NodePorts,
    directory: PathBuf,
    daemon: Daemon,
}

impl Node {
    /// The node of this number, with its folder below the cluster's.
    pub(crate) fn new(number: u16, ports: NodePorts, cluster_directory: &Path) -> Self {
        let directory = cluster_directory.join(format!("node-{number}"));
        let daemon = daemon_in(&directory);
        Self {
            number,
            ports,
            directory,
            daemon,
        }
    }

    /// Writes the configuration: the usual one, and behind it, so that it wins, what differs.
    pub(crate) fn configure(
        &self,
        settings: &Settings,
        certificates: &Certificates,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let mut text = self.properties(settings, certificates);
        for change in &changes.config {
            let _infallible = writeln!(text, "{change}");
        }
        let path = self.properties_file();
        fs::write(&path, text).context(path.display())
    }

    /// Writes the configuration and formats the storage.
    pub(crate) fn format(
        &self,
        settings: &Settings,
        libs: &Path,
        certificates: &Certificates,
    ) -> Result<(), Failure> {
        fs::create_dir_all(&self.directory).context(self.directory.display())?;
        self.configure(settings, certificates, &Changes::default())?;
        let mut command = java::with_libs(libs);
        command.args([
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]);
        command.args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            &settings.cluster_id,
            "--config",
        ]);
        command.arg(self.properties_file());
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            command.args([
                "--add-scram",
                &format!("{mechanism}=[name={USER},password={PASSWORD}]"),
            ]);
        }
        program::output_of(&mut command).map(drop)
    }

    /// Starts its process, without waiting for it to be ready. Of `changes` the log levels count
    /// here.
    pub(crate) fn spawn(&self, libs: &Path, changes: &Changes) -> Result<(), Failure> {
        let mut command = java::with_libs(libs);
        command
            .current_dir(&self.directory)
            .args([
                "-Xms128m",
                HEAP,
                "-XX:+UseSerialGC",
                "-XX:+ExitOnOutOfMemoryError",
                "-Djava.awt.headless=true",
            ])
            .args([
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
            ])
            .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS")
            .args(
                changes
                    .log_levels
                    .iter()
                    .map(|level| format!("-Dorg.slf4j.simpleLogger.log.{level}")),
            )
            .arg("kafka.Kafka")
            .arg(self.properties_file());
        self.daemon.spawn(&mut command, &self.log_file())
    }

    /// Returns whether it answers and knows all of `nodes` as alive.
    pub(crate) fn is_ready(&self, nodes: &[Node]) -> bool {
        probe::brokers_known_to(self.ports.plaintext).is_ok_and(|brokers| {
            nodes
                .iter()
                .all(|node| brokers.contains(&i32::from(node.number)))
        })
    }

    /// Activity of its process; `None` when it is dead.
    pub(crate) fn activity(&self) -> Option<Activity> {
        self.daemon.activity()
    }

    /// Sends its process a signal; a dead node is a [`Failure`].
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        if self.daemon.signal(signal) {
            Ok(())
        } else {
            Err(
                Failure::new(format!("node {} does not run", self.number)).advise(format!(
                    "`cargo xtask kafka restart {}` starts it again.",
                    self.number
                )),
            )
        }
    }

    /// Kills it as `kill -9` does and waits until it is gone; fine when it is dead already.
    pub(crate) fn kill(&self) -> Result<(), Failure> {
        kill(&self.daemon, &self.directory)
    }

    /// Shuts it down in order, or kills it when that takes too long or it is paused; fine when it
    /// is dead already.
    pub(crate) fn shut_down(&self) -> Result<(), Failure> {
        if self.activity() == Some(Activity::Running) {
            self.daemon.signal(Signal::TERM);
            if self.daemon.wait_until_dead(SHUTDOWN_PATIENCE) {
                return Ok(());
            }
            eprintln!("node {} does not shut down: killing it", self.number);
        }
        self.kill()
    }

    /// Everything that Kafka has logged since the cluster's start.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.directory.join("kafka.log")
    }

    /// Its process, for status lines.
    pub(crate) fn describe(&self) -> String {
        match (self.daemon.pid(), self.activity()) {
            (Some(pid), Some(Activity::Paused)) => {
                format!("paused, process {}", pid.as_raw_nonzero())
            }
            (Some(pid), Some(Activity::Running))
                if probe::brokers_known_to(self.ports.plaintext).is_ok() =>
            {
                format!("ready, process {}", pid.as_raw_nonzero())
            }
            (Some(pid), Some(Activity::Running)) => {
                format!("not ready, process {}", pid.as_raw_nonzero())
            }
            _ => "dead".to_owned(),
        }
    }

    fn properties_file(&self) -> PathBuf {
        self.directory.join("server.properties")
    }

    /// Plain defaults of Kafka, but for what a small cluster on loopback needs: fewer internal
    /// partitions and replicas, a smaller log cleaner, a session that ends sooner, since a
    /// killed node can't register again before that, and no retention by time: records of tests
    /// have old timestamps, and a node deletes such records half a minute after its start.
    fn properties(&self, settings: &Settings, certificates: &Certificates) -> String {
        let NodePorts {
            plaintext,
            tls,
            sasl_plaintext,
            sasl_tls,
            mutual_tls,
            controller,
        } = self.ports;
        let voters: Vec<String> = (1_u16..)
            .zip(&settings.nodes)
            .map(|(number, ports)| format!("{number}@127.0.0.1:{}", ports.controller))
            .collect();
        let clients = format!(
            "PLAINTEXT://127.0.0.1:{plaintext},SSL://127.0.0.1:{tls},SASL_PLAINTEXT://127.0.0.1:{sasl_plaintext},\
             SASL_SSL://127.0.0.1:{sasl_tls},MTLS://127.0.0.1:{mutual_tls}"
        );
        let replicas = settings.nodes.len().min(3);
        let in_sync = replicas.saturating_sub(1).max(1);
        let login = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{USER}\" password=\"{PASSWORD}\" \
             user_{USER}=\"{PASSWORD}\";"
        );
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        let oauth = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                     unsecuredLoginStringClaim_sub=\"broker\";";
        let sasl: String = ["sasl_plaintext", "sasl_ssl"]
            .iter()
            .map(|listener| {
                format!(
                    "listener.name.{listener}.plain.sasl.jaas.config={login}\n\
                     listener.name.{listener}.scram-sha-256.sasl.jaas.config={scram}\n\
                     listener.name.{listener}.scram-sha-512.sasl.jaas.config={scram}\n\
                     listener.name.{listener}.oauthbearer.sasl.jaas.config={oauth}\n"
                )
            })
            .collect();
        let sessions: String = ["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"]
            .iter()
            .map(|mechanism| {
                format!(
                    "listener.name.sasl_ssl.{mechanism}.connections.max.reauth.ms={SESSION_MS}\n"
                )
            })
            .collect();
        format!(
            "process.roles=broker,controller\n\
             node.id={number}\n\
             controller.quorum.voters={voters}\n\
             controller.listener.names=CONTROLLER\n\
             listeners={clients},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={clients}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,\
             MTLS:SSL,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\n\
             log.dirs={data}\n\
             ssl.keystore.type=PEM\n\
             ssl.keystore.location={keystore}\n\
             ssl.truststore.type=PEM\n\
             ssl.truststore.location={truststore}\n\
             ssl.allow.dn.changes=true\n\
             ssl.allow.san.changes=true\n\
             listener.name.mtls.ssl.client.auth=required\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
             {sasl}\
             {sessions}\
             auto.create.topics.enable=false\n\
             num.partitions=1\n\
             default.replication.factor={replicas}\n\
             min.insync.replicas={in_sync}\n\
             offsets.topic.replication.factor={replicas}\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor={replicas}\n\
             transaction.state.log.min.isr={in_sync}\n\
             transaction.state.log.num.partitions=4\n\
             group.initial.rebalance.delay.ms=0\n\
             broker.session.timeout.ms=5000\n\
             broker.heartbeat.interval.ms=1000\n\
             log.cleaner.dedupe.buffer.size=8388608\n\
             log.retention.ms=-1\n",
            number = self.number,
            voters = voters.join(","),
            data = self.directory.join("data").display(),
            keystore = certificates.server_keystore().display(),
            truststore = certificates.authority().display(),
        )
    }
}

/// The folders of all nodes of a cluster, whatever its description says, and even without one.
pub(crate) fn folders(cluster_directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut folders = Vec::new();
    if cluster_directory.exists() {
        for entry in fs::read_dir(cluster_directory).context(cluster_directory.display())? {
            let entry = entry.context(cluster_directory.display())?;
            if entry.file_name().to_string_lossy().starts_with("node-") {
                folders.push(entry.path());
            }
        }
    }
    folders.sort();
    Ok(folders)
}

/// Returns whether the node of this folder lives.
pub(crate) fn lives_in(folder: &Path) -> bool {
    daemon_in(folder).pid().is_some()
}

/// Kills the node of this folder, and waits until it is gone; fine when it is dead already.
pub(crate) fn kill_in(folder: &Path) -> Result<(), Failure> {
    kill(&daemon_in(folder), folder)
}

fn daemon_in(folder: &Path) -> Daemon {
    let mark = folder.join("server.properties").display().to_string();
    Daemon::new(folder.join("kafka.pid"), mark)
}

fn kill(daemon: &Daemon, folder: &Path) -> Result<(), Failure> {
    daemon.signal(Signal::KILL);
    if daemon.wait_until_dead(KILL_PATIENCE) {
        Ok(())
    } else {
        let folder = folder.display();
        Err(Failure::new(format!(
            "the node in {folder} cannot be killed"
        )))
    }
}
