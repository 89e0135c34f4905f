//! A certificate authority, a server certificate for localhost and a client certificate, made once.

use crate::failure::{Context as _, Failure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that the brokers and the tests read, all of them PEM.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    directory: PathBuf,
}

impl Certificates {
    /// The certificates in this folder, made now if they are not there.
    pub(crate) fn in_directory(directory: PathBuf) -> Result<Self, Failure> {
        let certificates = Self { directory };
        // The last file of what is made together.
        if !certificates.client_key().exists() {
            certificates.make()?;
        }
        Ok(certificates)
    }

    /// The authority's certificate: what clients and servers must trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The server's key and chain in one file, as Kafka wants it.
    pub(crate) fn server_keystore(&self) -> PathBuf {
        self.directory.join("server.pem")
    }

    /// The client's certificate.
    pub(crate) fn client_certificate(&self) -> PathBuf {
        self.directory.join("client.pem")
    }

    /// The client's key.
    pub(crate) fn client_key(&self) -> PathBuf {
        self.directory.join("client.key")
    }

    fn make(&self) -> Result<(), Failure> {
        let directory = self.directory.with_extension("unfinished");
        for old in [&directory, &self.directory] {
            if old.exists() {
                fs::remove_dir_all(old).context(old.display())?;
            }
        }
        fs::create_dir_all(&directory).context(directory.display())?;
        make_in(&directory)?;
        fs::rename(&directory, &self.directory).context(self.directory.display())
    }
}

fn make_in(directory: &Path) -> Result<(), Failure> {
    let failed = |error: rcgen::Error| Failure::new(format!("no certificate: {error}"));
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        fs::write(&path, text).context(path.display())
    };
    let mut params = named("wolff-test-authority", &[]).map_err(failed)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(failed)?;
    let authority = CertifiedIssuer::self_signed(params, key).map_err(failed)?;
    write("ca.pem", authority.pem())?;

    let issue = |params: CertificateParams| {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        Ok((certificate.pem(), key.serialize_pem()))
    };
    let params = named("localhost", &["localhost", "127.0.0.1"]).map_err(failed)?;
    let (certificate, key) = issue(params).map_err(failed)?;
    write(
        "server.pem",
        format!("{key}{certificate}{}", authority.pem()),
    )?;
    let params = named("wolff-test-client", &[]).map_err(failed)?;
    let (certificate, key) = issue(params).map_err(failed)?;
    write("client.pem", certificate)?;
    write("client.key", key)
}

fn named(name: &str, hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_made_once_and_again_when_one_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("certificates");
        let made = Certificates::in_directory(place.clone()).unwrap();
        let authority = fs::read(made.authority()).unwrap();
        let server = fs::read_to_string(made.server_keystore()).unwrap();
        assert!(server.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(server.matches("-----BEGIN CERTIFICATE-----").count(), 2);

        Certificates::in_directory(place.clone()).unwrap();
        assert_eq!(fs::read(made.authority()).unwrap(), authority);
        fs::remove_file(made.client_key()).unwrap();
        Certificates::in_directory(place).unwrap();
        assert_ne!(fs::read(made.authority()).unwrap(), authority);
        assert!(made.client_certificate().exists());
    }
}
