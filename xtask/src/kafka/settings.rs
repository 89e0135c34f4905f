//! Description of a cluster, requested or running: version, id and ports, as kept in
//! `cluster.properties`.

use crate::failure::{Context as _, Failure};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Arguments of `start`.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Version of Apache Kafka.
    pub(crate) version: String,
    /// Number of nodes.
    pub(crate) nodes: u16,
    /// First of the ports, where they shall not be chosen freely.
    pub(crate) first_port: Option<u16>,
}

/// The listeners of one node, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NodePorts {
    /// Neither encrypted nor authenticated; the nodes use it among themselves too.
    pub(crate) plaintext: u16,
    /// TLS.
    pub(crate) tls: u16,
    /// SASL without TLS.
    pub(crate) sasl_plaintext: u16,
    /// SASL over TLS.
    pub(crate) sasl_tls: u16,
    /// TLS that wants a client certificate.
    pub(crate) mutual_tls: u16,
    /// KRaft's own, between the nodes.
    pub(crate) controller: u16,
}

impl NodePorts {
    /// Ports that one node takes.
    pub(crate) const COUNT: usize = 6;

    /// From ports in the order of the fields.
    pub(crate) fn from_slice(ports: &[u16]) -> Option<Self> {
        match *ports {
            [
                plaintext,
                tls,
                sasl_plaintext,
                sasl_tls,
                mutual_tls,
                controller,
            ] => Some(Self {
                plaintext,
                tls,
                sasl_plaintext,
                sasl_tls,
                mutual_tls,
                controller,
            }),
            _ => None,
        }
    }

    /// The ports in the order of the fields.
    pub(crate) fn to_array(self) -> [u16; Self::COUNT] {
        [
            self.plaintext,
            self.tls,
            self.sasl_plaintext,
            self.sasl_tls,
            self.mutual_tls,
            self.controller,
        ]
    }
}

/// Description of a cluster, from its start to its stop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    /// Version of Apache Kafka.
    pub(crate) version: String,
    /// KRaft's cluster id.
    pub(crate) cluster_id: String,
    /// One entry per node; node N is at N − 1.
    pub(crate) nodes: Vec<NodePorts>,
}

impl Settings {
    /// Writes `cluster.properties`.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Failure> {
        let mut text = format!("version={}\ncluster_id={}\n", self.version, self.cluster_id);
        for ports in &self.nodes {
            let ports: Vec<String> = ports.to_array().iter().map(u16::to_string).collect();
            let _infallible = writeln!(text, "ports={}", ports.join(","));
        }
        fs::write(path, text).context(path.display())
    }

    /// Reads `cluster.properties`; `None` when there is no such file.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, Failure> {
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).context(path.display())?;
        let broken = || {
            Failure::new(format!(
                "{} describes no cluster: another version of this program has written it, or it is damaged",
                path.display()
            ))
            .advise(
                "`cargo xtask kafka stop`, with the same --cluster, kills its nodes and removes it.",
            )
        };
        Self::parse(&text).map(Some).ok_or_else(broken)
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut version, mut cluster_id, mut nodes) = (None, None, Vec::new());
        for line in text.lines() {
            match line.split_once('=')? {
                ("version", value) => version = Some(value.to_owned()),
                ("cluster_id", value) => cluster_id = Some(value.to_owned()),
                ("ports", value) => {
                    let ports: Result<Vec<u16>, _> = value.split(',').map(str::parse).collect();
                    nodes.push(NodePorts::from_slice(&ports.ok()?)?);
                }
                _ => return None,
            }
        }
        Some(Self {
            version: version?,
            cluster_id: cluster_id?,
            nodes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cluster.properties");
        let settings = Settings {
            version: "4.0.0".into(),
            cluster_id: "abc".into(),
            nodes: vec![
                NodePorts::from_slice(&[1, 2, 3, 4, 5, 6]).unwrap(),
                NodePorts::from_slice(&[7, 8, 9, 10, 11, 12]).unwrap(),
            ],
        };
        assert_eq!(Settings::load(&path).unwrap(), None);
        settings.save(&path).unwrap();
        assert_eq!(Settings::load(&path).unwrap(), Some(settings));
    }

    #[test]
    fn a_damaged_description_is_refused() {
        assert_eq!(
            Settings::parse("version=4.0.0\ncluster_id=x\nports=1,2,3\n"),
            None
        );
        assert_eq!(Settings::parse("version=4.0.0\n"), None);
        assert_eq!(Settings::parse("rubbish"), None);
    }
}
