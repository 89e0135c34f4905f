//! The Java that runs Kafka.

use crate::failure::Failure;
use crate::program;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kafka 4's brokers need this one.
const OLDEST: u32 = 17;

/// A program of the Java installation: from JAVA_HOME if that is set, otherwise from the PATH.
pub(crate) fn program(name: &str) -> PathBuf {
    match std::env::var_os("JAVA_HOME") {
        Some(home) if Path::new(&home).join("bin").join(name).exists() => {
            Path::new(&home).join("bin").join(name)
        }
        _ => PathBuf::from(name),
    }
}

/// A `java` command with all jars of `libs` on its class path.
pub(crate) fn with_libs(libs: &Path) -> Command {
    let mut command = Command::new(program("java"));
    command.arg("-cp").arg(libs.join("*"));
    command
}

/// Fails, and says what to install, unless there is a Java that can run Kafka.
pub(crate) fn check() -> Result<(), Failure> {
    let advice = format!(
        "Kafka needs Java {OLDEST} or newer. Install one (Debian: apt-get install openjdk-{OLDEST}-jdk-headless), \
         or set JAVA_HOME to one.\nWithout Java, set WOLFF_KAFKA=host:port to any Kafka cluster instead."
    );
    let text = program::output_of(Command::new(program("java")).arg("--version"))
        .map_err(|failure| failure.advise(advice.clone()))?;
    match major_version(&text) {
        Some(version) if version < OLDEST => {
            Err(Failure::new(format!("the Java found is version {version}")).advise(advice))
        }
        _ => Ok(()),
    }
}

/// The first number of what `java --version` prints ("openjdk 17.0.15 2025-04-15").
fn major_version(text: &str) -> Option<u32> {
    let word = text.split_whitespace().nth(1)?;
    word.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(
            major_version("openjdk 17.0.15 2025-04-15\nOpenJDK …"),
            Some(17)
        );
        assert_eq!(major_version("openjdk 25 2025-09-16 LTS"), Some(25));
        assert_eq!(major_version("java 26-ea"), Some(26));
        assert_eq!(major_version(""), None);
    }
}
