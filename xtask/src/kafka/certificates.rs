//! A certificate authority and a server certificate for localhost, made once with the JDK's keytool.

use super::java;
use crate::failure::{Context as _, Failure};
use crate::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Guards nothing: the keys are made on the spot, for loopback only.
pub(crate) const PASSWORD: &str = "wolff-test";

/// Files that the brokers and the tests read.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    directory: PathBuf,
}

impl Certificates {
    /// The certificates in this folder, made now if they are not there.
    pub(crate) fn in_directory(directory: PathBuf) -> Result<Self, Failure> {
        let certificates = Self { directory };
        if !certificates.directory.exists() {
            certificates.make()?;
        }
        Ok(certificates)
    }

    /// The authority's certificate, PEM: what clients must trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The server's key and chain, PKCS #12, under [`PASSWORD`].
    pub(crate) fn server_keystore(&self) -> PathBuf {
        self.directory.join("server.p12")
    }

    fn make(&self) -> Result<(), Failure> {
        eprintln!("making certificates (once) …");
        let directory = self.directory.with_extension("unfinished");
        if directory.exists() {
            fs::remove_dir_all(&directory).context(directory.display())?;
        }
        fs::create_dir_all(&directory).context(directory.display())?;
        let step = |line: &str| keytool(&directory, line);
        step(
            "-genkeypair -alias ca -keystore ca.p12 -dname CN=wolff-test-authority -ext bc:c -keyalg EC -validity 3650",
        )?;
        step("-exportcert -alias ca -keystore ca.p12 -rfc -file ca.pem")?;
        step(
            "-genkeypair -alias server -keystore server.p12 -dname CN=localhost -keyalg EC -validity 3650",
        )?;
        step("-certreq -alias server -keystore server.p12 -file server.csr")?;
        step(
            "-gencert -alias ca -keystore ca.p12 -infile server.csr -outfile server.pem -rfc -validity 3650 \
             -ext SAN=dns:localhost,ip:127.0.0.1 -ext EKU=serverAuth",
        )?;
        step("-importcert -alias ca -keystore server.p12 -file ca.pem -noprompt")?;
        step("-importcert -alias server -keystore server.p12 -file server.pem -noprompt")?;
        fs::rename(&directory, &self.directory).context(self.directory.display())
    }
}

fn keytool(directory: &Path, line: &str) -> Result<(), Failure> {
    let mut command = Command::new(java::program("keytool"));
    command
        .current_dir(directory)
        .args(line.split_whitespace())
        .args(["-storetype", "PKCS12", "-storepass", PASSWORD]);
    program::output_of(&mut command).map(drop).map_err(|failure| {
        failure.advise("The TLS listeners need the JDK's `keytool` (Debian: apt-get install openjdk-17-jdk-headless).")
    })
}
