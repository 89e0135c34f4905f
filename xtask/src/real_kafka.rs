//! A real Kafka for tests and benchmarks, from wherever this machine can have one.

use crate::failure::Failure;
use crate::guard::Guard;
use crate::kafka;
use crate::program;
use crate::workspace;
use std::ffi::OsString;
use std::process::Command;

/// The listeners of `docker-compose.yml`, and the user of those with SASL.
const COMPOSE_LISTENERS: [(&str, &str); 6] = [
    ("WOLFF_KAFKA_USER", "wolff"),
    ("WOLFF_KAFKA_PASSWORD", "wolff-secret"),
    ("WOLFF_KAFKA", "127.0.0.1:19092"),
    ("WOLFF_KAFKA_TLS", "127.0.0.1:19093"),
    ("WOLFF_KAFKA_SASL_PLAINTEXT", "127.0.0.1:19094"),
    ("WOLFF_KAFKA_SASL_TLS", "127.0.0.1:19095"),
];

/// The cluster, or the reason why there is none.
#[derive(Debug)]
pub(crate) enum RealKafka {
    /// A cluster that can be used as long as this value lives. Whatever was started for it is
    /// stopped with it.
    Ready {
        /// Where it comes from, for the report.
        origin: String,
        /// Variables that tests and benchmarks need. Empty when their environment says it already.
        environment: Vec<(String, String)>,
        /// Stops what was started; `None` when nothing was.
        guard: Option<Guard>,
    },
    /// None, and why.
    Absent {
        /// The reason.
        reason: String,
        /// True if this machine has all it takes, so that the absence is a defect.
        is_defect: bool,
    },
}

impl RealKafka {
    /// Stops what was started for it, and waits until that is done.
    pub(crate) fn stop(self) {
        if let Self::Ready { guard, .. } = self {
            drop(guard);
        }
    }

    /// The cluster that WOLFF_KAFKA names; else a fresh one of so many nodes by Java and Maven;
    /// else one node by Docker; else none.
    pub(crate) fn provide(nodes: u16) -> Self {
        if let Ok(addresses) = std::env::var("WOLFF_KAFKA")
            && !addresses.is_empty()
        {
            return Self::Ready {
                origin: format!("{addresses}, as WOLFF_KAFKA says"),
                environment: Vec::new(),
                guard: None,
            };
        }
        let missing = kafka::missing_programs();
        let (outcome, is_defect) = if missing.is_empty() {
            (Self::by_maven(nodes), true)
        } else if has_docker() {
            (Self::by_docker(), false)
        } else {
            let missing = missing.join(" and ");
            let reason = format!("{missing} missing, no Docker engine, and WOLFF_KAFKA is not set");
            (Err(Failure::new(reason)), false)
        };
        outcome.unwrap_or_else(|failure| Self::Absent {
            reason: failure.to_string(),
            is_defect,
        })
    }

    fn by_maven(nodes: u16) -> Result<Self, Failure> {
        let name = format!("test-{}", std::process::id());
        let this_program =
            std::env::current_exe().map_err(|error| Failure::new(error.to_string()))?;
        let stop = [
            this_program.as_os_str(),
            "kafka".as_ref(),
            "stop".as_ref(),
            "--cluster".as_ref(),
            name.as_ref(),
        ];
        let guard = Guard::over(&stop.map(OsString::from))?;
        let environment = kafka::start_for_tests(&name, kafka::DEFAULT_VERSION, nodes)?;
        let count = match nodes {
            1 => "one node".to_owned(),
            more => format!("{more} nodes"),
        };
        Ok(Self::Ready {
            origin: format!(
                "Apache Kafka {}, {count}, started here",
                kafka::DEFAULT_VERSION
            ),
            environment,
            guard: Some(guard),
        })
    }

    fn by_docker() -> Result<Self, Failure> {
        let file = workspace::root().join("docker-compose.yml");
        let compose = |action: &[&str]| -> Vec<OsString> {
            let words = ["docker", "compose", "--file"]
                .map(OsString::from)
                .into_iter();
            words
                .chain([file.clone().into_os_string()])
                .chain(action.iter().map(OsString::from))
                .collect()
        };
        let guard = Guard::over(&compose(&["down", "--volumes", "--timeout", "5"]))?;
        let up = compose(&["up", "--detach", "--wait"]);
        if let Some((name, arguments)) = up.split_first() {
            program::run(Command::new(name).args(arguments))?;
        }
        let listeners = COMPOSE_LISTENERS.iter();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let authority = workspace::root().join("target/docker-certificates/ca.pem");
        let authority = ("WOLFF_KAFKA_CA".to_owned(), authority.display().to_string());
        Ok(Self::Ready {
            origin: "the container of docker-compose.yml, started here".to_owned(),
            environment: listeners.map(owned).chain([authority]).collect(),
            guard: Some(guard),
        })
    }
}

/// Returns whether there is a Docker engine, and not just its client.
fn has_docker() -> bool {
    program::output_of(Command::new("docker").args(["compose", "version"])).is_ok()
        && program::output_of(Command::new("docker").args([
            "info",
            "--format",
            "{{.ServerVersion}}",
        ]))
        .is_ok()
}
