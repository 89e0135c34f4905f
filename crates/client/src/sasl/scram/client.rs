//! The client's side of SCRAM, a type per step; no I/O, no randomness (RFC 5802).
//!
//! Names and passwords are taken as they are, in UTF-8: Kafka stores and compares them without
//! SASLprep (RFC 4013), so that a client that normalised them would lock out its users.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::keys::Keys;
use super::messages::{Fault, ServerFirst, server_signature, text};
use crate::secret::Secret;

/// No channel binding, no other name to act under.
const GS2_HEADER: &str = "n,,";

/// [`GS2_HEADER`] in base64.
const CHANNEL_BINDING: &str = "c=biws";

/// Waits for the server's first message.
#[derive(Debug)]
pub(super) struct Greeting {
    nonce: String,
    bare: String,
}

/// Waits for the keys that belong to salt and iterations.
#[derive(Debug)]
pub(super) struct Challenged {
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    without_proof: String,
    auth_message: String,
}

/// Waits for the server's signature.
#[derive(Debug)]
pub(super) struct Proven {
    auth_message: String,
}

impl Greeting {
    /// Begins with a nonce that nobody can foresee: printable, without commas.
    pub(super) fn new(username: &str, nonce: String) -> Self {
        // The only characters that have a meaning in the message (saslname).
        let username = username.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={username},r={nonce}");
        Self { nonce, bare }
    }

    /// The client's first message.
    pub(super) fn message(&self) -> String {
        format!("{GS2_HEADER}{}", self.bare)
    }

    /// Takes the server's first message.
    pub(super) fn handle_first(self, message: &[u8]) -> Result<Challenged, Fault> {
        let message = text(message)?;
        let first = ServerFirst::parse(message, &self.nonce)?;
        let without_proof = format!("{CHANNEL_BINDING},r={}", first.nonce);
        Ok(Challenged {
            salt: first.salt,
            iterations: first.iterations,
            auth_message: format!("{},{message},{without_proof}", self.bare),
            without_proof,
        })
    }
}

impl Challenged {
    /// The client's second and last message, which proves that the password is known.
    pub(super) fn prove(self, keys: &Keys) -> (Secret, Proven) {
        let proof = BASE64.encode(keys.client_proof(self.auth_message.as_bytes()));
        let message = format!("{},p={proof}", self.without_proof);
        let auth_message = self.auth_message;
        (message.into(), Proven { auth_message })
    }
}

impl Proven {
    /// Takes the server's last message, which must prove that it knows the password as well.
    pub(super) fn handle_final(self, message: &[u8], keys: &Keys) -> Result<(), Fault> {
        let signature = server_signature(text(message)?)?;
        if !keys.is_server_signature(self.auth_message.as_bytes(), &signature) {
            return Err("its signature is wrong: it does not know the user's secret".into());
        }
        Ok(())
    }
}
