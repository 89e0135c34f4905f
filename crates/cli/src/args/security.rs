//! Security of connections: TLS, and the identity of this side.

use std::path::PathBuf;

use clap::Args;
use wolff::client::{
    ClientBuilder, Credentials, PasswordFile, Sasl, SecurityProtocol, TlsIdentity, TlsOptions,
    TlsServerName, TlsVerification,
};

use crate::exit::Failure;
use crate::token::TokenCommand;

/// The variable of the environment that holds the password where no file does.
const PASSWORD_VARIABLE: &str = "WOLFF_PASSWORD";

#[derive(Args, Debug)]
#[command(next_help_heading = "Security")]
pub(crate) struct SecurityArgs {
    /// Security of the brokers' listeners: plaintext, ssl, sasl_plaintext or sasl_ssl. Default:
    /// what --brokers says, else what the other flags let expect, else plaintext.
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol)]
    security_protocol: Option<SecurityProtocol>,
    /// Certificates of the authorities that vouch for brokers, PEM. Default: those that the system
    /// trusts.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The certificate to show to brokers, PEM, with those between it and its authority behind it.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The private key of --cert-file, PEM.
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// A file that holds the password of an encrypted --key-file (PKCS #8), read anew when the key
    /// changes.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    key_password_file: Option<PathBuf>,
    /// The name that brokers' certificates must be for, whatever host is dialled. Default: the
    /// host.
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Take every certificate: anybody between here and the brokers can read and change everything.
    /// For experiments.
    #[arg(long, conflicts_with = "ca_file")]
    danger_accept_any_certificate: bool,
    /// Mechanism of authentication: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.
    #[arg(long, value_name = "MECHANISM", value_parser = mechanism)]
    sasl_mechanism: Option<MechanismName>,
    /// The user's name, for PLAIN and SCRAM.
    #[arg(long, value_name = "NAME", requires = "sasl_mechanism")]
    username: Option<String>,
    /// A file that holds the password, read anew at every authentication. Without it the
    /// environment variable WOLFF_PASSWORD must hold the password. It cannot be given on the
    /// command line, which everybody on the machine can read.
    #[arg(long, value_name = "FILE", requires = "sasl_mechanism")]
    password_file: Option<PathBuf>,
    /// A command line for the shell that prints a token, for OAUTHBEARER; run anew for
    /// authentications that are more than ten seconds apart.
    #[arg(long, value_name = "COMMAND", requires = "sasl_mechanism")]
    token_command: Option<String>,
    /// Let PLAIN and OAUTHBEARER send password or token over a connection that is not encrypted.
    #[arg(long, requires = "sasl_mechanism")]
    allow_unencrypted_password: bool,
}

/// A mechanism that can be chosen by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MechanismName {
    Plain,
    ScramSha256,
    ScramSha512,
    OAuthBearer,
}

impl SecurityArgs {
    /// Tells a client what was said here.
    pub(crate) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Failure> {
        if let Some(protocol) = self.security_protocol {
            builder = builder.security_protocol(protocol);
        }
        if let Some(options) = self.tls() {
            builder = builder.tls(options);
        }
        if let Some(mechanism) = self.sasl_mechanism {
            builder = builder.sasl(self.sasl(mechanism)?);
        }
        Ok(builder)
    }

    fn tls(&self) -> Option<TlsOptions> {
        let mut options = TlsOptions::default();
        options.ca_file.clone_from(&self.ca_file);
        options.identity =
            self.cert_file
                .clone()
                .zip(self.key_file.clone())
                .map(|(cert_file, key_file)| TlsIdentity {
                    cert_file,
                    key_file,
                });
        options
            .key_password_file
            .clone_from(&self.key_password_file);
        if let Some(name) = &self.tls_server_name {
            options.server_name = TlsServerName::Fixed(name.clone());
        }
        if self.danger_accept_any_certificate {
            options.verification = TlsVerification::DangerouslyNone;
        }
        let is_wanted = self.ca_file.is_some()
            || self.cert_file.is_some()
            || self.tls_server_name.is_some()
            || self.danger_accept_any_certificate;
        is_wanted.then_some(options)
    }

    fn sasl(&self, mechanism: MechanismName) -> Result<Sasl, Failure> {
        let sasl = match mechanism {
            MechanismName::OAuthBearer => Sasl::oauth_bearer(self.tokens()?),
            MechanismName::Plain => self.with_password(Sasl::plain, Sasl::plain)?,
            MechanismName::ScramSha256 => {
                self.with_password(Sasl::scram_sha_256, Sasl::scram_sha_256)?
            }
            MechanismName::ScramSha512 => {
                self.with_password(Sasl::scram_sha_512, Sasl::scram_sha_512)?
            }
        };
        Ok(match self.allow_unencrypted_password {
            true => sasl.allow_unencrypted_secrets(),
            false => sasl,
        })
    }

    fn with_password(
        &self,
        of_file: fn(PasswordFile) -> Sasl,
        of_value: fn(Credentials) -> Sasl,
    ) -> Result<Sasl, Failure> {
        if self.token_command.is_some() {
            return Err(Failure::usage(
                "--token-command goes with --sasl-mechanism OAUTHBEARER only",
            ));
        }
        let username = self.username.as_ref().ok_or_else(|| {
            Failure::usage("this --sasl-mechanism needs the user's name in --username")
        })?;
        if let Some(path) = &self.password_file {
            return Ok(of_file(PasswordFile::new(username, path)));
        }
        match std::env::var(PASSWORD_VARIABLE) {
            Ok(password) if !password.is_empty() => {
                Ok(of_value(Credentials::new(username, password)))
            }
            _ => Err(Failure::usage(format!(
                "this --sasl-mechanism needs a password in --password-file or in the environment variable {PASSWORD_VARIABLE}"
            ))),
        }
    }

    fn tokens(&self) -> Result<TokenCommand, Failure> {
        if self.username.is_some() || self.password_file.is_some() {
            return Err(Failure::usage(
                "--username and --password-file do not go with --sasl-mechanism OAUTHBEARER",
            ));
        }
        let command = self.token_command.as_ref().ok_or_else(|| {
            Failure::usage(
                "--sasl-mechanism OAUTHBEARER needs a --token-command that prints a token",
            )
        })?;
        Ok(TokenCommand::new(command.clone()))
    }
}

fn protocol(text: &str) -> Result<SecurityProtocol, String> {
    text.parse::<SecurityProtocol>()
        .map_err(|error| error.to_string())
}

fn mechanism(text: &str) -> Result<MechanismName, String> {
    match text.to_ascii_uppercase().as_str() {
        "PLAIN" => Ok(MechanismName::Plain),
        "SCRAM-SHA-256" => Ok(MechanismName::ScramSha256),
        "SCRAM-SHA-512" => Ok(MechanismName::ScramSha512),
        "OAUTHBEARER" => Ok(MechanismName::OAuthBearer),
        _ => Err("known are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER".into()),
    }
}
