//! Brings Kafka's jars below `target/kafka/` by Maven, once per version; afterwards no network is
//! needed.

use super::java;
use super::layout::Layout;
use crate::failure::{Context as _, Failure};
use crate::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kafka's command-line tools are published apart from the broker and later than it. They speak
/// with any broker since 2.1.
const TOOLS_VERSION: &str = "4.3.1";

/// The broker logs through slf4j, and its packages bring a back end for some versions only. This
/// one serves all of them.
const SLF4J_SIMPLE: (&str, &str, &str) = ("org.slf4j", "slf4j-simple", "1.7.36");

const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Which of the programs that a cluster needs are not on this machine.
pub(crate) fn missing_programs() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !program::is_there(java::program("java")) {
        missing.push("java");
    }
    if !program::is_there("mvn") {
        missing.push("mvn");
    }
    missing
}

/// The folder with the broker's jars of this version, downloaded now if it is not there.
pub(crate) fn broker(layout: &Layout, version: &str) -> Result<PathBuf, Failure> {
    check_version(version)?;
    install(
        &layout.broker(version),
        &[("org.apache.kafka", "kafka_2.13", version), SLF4J_SIMPLE],
    )
}

/// The folder with the jars of Kafka's command-line tools, downloaded now if it is not there.
pub(crate) fn tools(layout: &Layout) -> Result<PathBuf, Failure> {
    let packages = [
        ("org.apache.kafka", "kafka-tools", TOOLS_VERSION),
        SLF4J_SIMPLE,
    ];
    install(&layout.tools(TOOLS_VERSION), &packages)
}

/// Runs one of the command-line tools with this process's terminal.
pub(crate) fn run_tool(layout: &Layout, class: &str, arguments: &[String]) -> Result<(), Failure> {
    java::check()?;
    let mut command = java::with_libs(&tools(layout)?);
    command
        .args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            class,
        ])
        .args(arguments);
    let status = command.status().context("cannot run `java`")?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{class} failed ({status})")))
    }
}

/// The version becomes a folder's name and a piece of XML, so it may hold nothing else.
fn check_version(version: &str) -> Result<(), Failure> {
    let is_plain = version
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '.' || letter == '-');
    if is_plain && version.starts_with(|letter: char| letter.is_ascii_digit()) {
        Ok(())
    } else {
        Err(Failure::new(format!("`{version}` is no version of Kafka"))
            .advise("Give one like 4.1.0 or 3.9.1."))
    }
}

fn install(home: &Path, packages: &[(&str, &str, &str)]) -> Result<PathBuf, Failure> {
    let libs = home.join("libs");
    if libs.exists() {
        return Ok(libs);
    }
    if !program::is_there("mvn") {
        return Err(Failure::new("there is no `mvn` on the PATH").advise(
            "Kafka's packages are fetched by Maven. Install it (Debian: apt-get install maven).\n\
             Without Maven, set WOLFF_KAFKA=host:port to any Kafka cluster instead.",
        ));
    }
    let wanted: Vec<String> = packages
        .iter()
        .map(|(_, artifact, version)| format!("{artifact} {version}"))
        .collect();
    eprintln!("fetching {} by Maven (once) …", wanted.join(", "));
    fs::create_dir_all(home).context(home.display())?;
    let pom = home.join("pom.xml");
    fs::write(&pom, pom_text(packages)).context(pom.display())?;

    // Copied aside and renamed: a folder called `libs` is complete.
    let unfinished = home.join("libs-unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context(unfinished.display())?;
    }
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--quiet", "-Dstyle.color=never", "--file"])
        .arg(&pom)
        .arg(COPY_DEPENDENCIES)
        .args([
            "-DincludeScope=runtime",
            &format!("-DoutputDirectory={}", unfinished.display()),
        ]);
    program::output_of(&mut maven)?;
    fs::rename(&unfinished, &libs).context(libs.display())?;
    Ok(libs)
}

fn pom_text(packages: &[(&str, &str, &str)]) -> String {
    let dependencies: String = packages
        .iter()
        .map(|(group, artifact, version)| {
            format!(
                "    <dependency>\n      <groupId>{group}</groupId>\n      <artifactId>{artifact}</artifactId>\n      \
                 <version>{version}</version>\n      <exclusions>\n        \
                 <exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion>\n      \
                 </exclusions>\n    </dependency>\n"
            )
        })
        .collect();
    format!(
        "<project>\n  <modelVersion>4.0.0</modelVersion>\n  <groupId>wolff</groupId>\n  <artifactId>kafka</artifactId>\n  \
         <version>1</version>\n  <packaging>pom</packaging>\n  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_cannot_leave_its_folder() {
        assert!(check_version("4.1.0").is_ok());
        assert!(check_version("4.2.0-rc1").is_ok());
        for bad in ["", "../x", "4/5", "latest", "4 <x>"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_pom_names_every_package() {
        let pom = pom_text(&[("org.apache.kafka", "kafka_2.13", "4.1.0"), SLF4J_SIMPLE]);
        assert!(
            pom.contains("<artifactId>kafka_2.13</artifactId>\n      <version>4.1.0</version>")
        );
        assert!(pom.contains("<artifactId>slf4j-simple</artifactId>"));
    }
}
