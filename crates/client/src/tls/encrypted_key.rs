//! A private key that is encrypted with a password (PKCS #8, RFC 5958).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::{self, pbes2::Kdf};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// The line that tells an encrypted key in the form that OpenSSL had before PKCS #8.
const LEGACY: &str = "Proc-Type: 4,ENCRYPTED";

/// More rounds would keep a start waiting for seconds; OpenSSL writes 2,048, the advice of today is
/// 600,000.
const MOST_ROUNDS: u32 = 10_000_000;

/// The most memory that a key of scrypt may take, in bytes; OpenSSL's take 16 MiB.
const MOST_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;

/// The most passes through that memory; OpenSSL's keys take one.
const MOST_SCRYPT_PASSES: u16 = 16;

/// Encrypted content of PEM where the key should be.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum EncryptedKey<'a> {
    /// The base64 of an `EncryptedPrivateKeyInfo`.
    Pkcs8(&'a str),
    /// A form whose encryption is too weak to be supported.
    Legacy,
}

impl<'a> EncryptedKey<'a> {
    /// The encrypted key in PEM, if there is one.
    pub(super) fn find(pem: &'a [u8]) -> Option<Self> {
        let has = |words: &str| {
            pem.windows(words.len())
                .any(|part| part == words.as_bytes())
        };
        if has(LEGACY) {
            return Some(Self::Legacy);
        }
        if !has(BEGIN) {
            return None;
        }
        let text = std::str::from_utf8(pem).unwrap_or_default();
        let (_, rest) = text.split_once(BEGIN).unwrap_or_default();
        let (base64, _) = rest.split_once(END).unwrap_or_default();
        Some(Self::Pkcs8(base64))
    }

    /// The key itself.
    ///
    /// # Errors
    /// What is wrong with the file, as the rest of a sentence that begins with its name.
    pub(super) fn decrypt(
        &self,
        password: Option<&[u8]>,
    ) -> Result<PrivateKeyDer<'static>, String> {
        let Self::Pkcs8(base64) = self else {
            return Err("holds a key in the encrypted form of old OpenSSL, which is not supported; convert it: openssl pkcs8 -topk8 -in FILE -out FILE".to_owned());
        };
        let Some(password) = password else {
            return Err("holds a key that is encrypted with a password; give the password in key_password or --key-password-file, or decrypt the key: openssl pkey -in FILE -out FILE".to_owned());
        };
        let base64: String = base64.split_whitespace().collect();
        let der = BASE64
            .decode(base64)
            .map_err(|_| "holds an encrypted key that is no PEM".to_owned())?;
        let unsupported = |error: &dyn std::fmt::Display| {
            format!(
                "holds an encrypted key that is damaged, or encrypted in a way that is not supported ({error}); convert it: openssl pkcs8 -topk8 -in FILE -out FILE"
            )
        };
        let info = EncryptedPrivateKeyInfoRef::try_from(der.as_slice())
            .map_err(|error| unsupported(&error))?;
        check_cost(&info)?;
        let key = info.decrypt(password).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed)
            | pkcs8::Error::Asn1(_) => {
                "cannot be decrypted: the password is wrong, or the file is damaged".to_owned()
            }
            error => unsupported(&error),
        })?;
        let key = Zeroizing::new(key.as_bytes().to_vec());
        Ok(PrivatePkcs8KeyDer::from(key.to_vec()).into())
    }
}

/// Refuses what a file asks for beyond reason, before any of it is done.
fn check_cost(info: &EncryptedPrivateKeyInfoRef<'_>) -> Result<(), String> {
    let Some(parameters) = info.encryption_algorithm.pbes2() else {
        return Ok(());
    };
    let is_too_much = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count > MOST_ROUNDS,
        Kdf::Scrypt(scrypt) => {
            let block = u64::from(scrypt.block_size) * 128;
            let bytes = scrypt.cost_parameter.saturating_mul(block);
            // Anything else than a power of two is no cost at all.
            let is_odd = !scrypt.cost_parameter.is_power_of_two();
            is_odd || bytes > MOST_SCRYPT_BYTES || scrypt.parallelization > MOST_SCRYPT_PASSES
        }
        _ => false,
    };
    match is_too_much {
        true => Err("holds a key whose decryption would take too long: convert it: openssl pkcs8 -topk8 -in FILE -out FILE".to_owned()),
        false => Ok(()),
    }
}
