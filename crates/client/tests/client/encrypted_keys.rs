//! Private keys that are encrypted with a password.
#![cfg(feature = "tls")]
use std::fs;

use wolff_client::{Client, Secret, TlsIdentity, TlsOptions, TlsPemIdentity};

/// The certificate that all keys in `tests/keys` belong to; OpenSSL 3 wrote them.
const CERTIFICATE: &str = include_str!("../keys/certificate.pem");
const PBKDF2: &str = include_str!("../keys/pbkdf2_aes_256.pem");
const PBKDF2_SHA_512: &str = include_str!("../keys/pbkdf2_sha_512_aes_128.pem");
const SCRYPT: &str = include_str!("../keys/scrypt.pem");
const PBES1: &str = include_str!("../keys/pbes1.pem");
const LEGACY: &str = include_str!("../keys/legacy.pem");
const TOO_MANY_ROUNDS: &str = include_str!("../keys/too_many_rounds.pem");
const PASSWORD: &str = "sesame";

fn build(options: TlsOptions) -> Result<(), String> {
    let builder = Client::builder(["SSL://broker:9093"]).tls(options);
    builder.build().map(drop).map_err(|error| {
        let said = format!("{error} {error:?}");
        assert!(!said.contains(PASSWORD), "{said}");
        error.to_string()
    })
}

fn with_key(key: &str, password: Option<&str>) -> Result<(), String> {
    let mut options = TlsOptions::default();
    options.ca_pem = Some(CERTIFICATE.to_owned());
    options.identity_pem = Some(TlsPemIdentity {
        certificates: CERTIFICATE.to_owned(),
        key: key.into(),
    });
    options.key_password = password.map(Secret::from);
    assert!(!format!("{options:?}").contains(PASSWORD));
    build(options)
}

#[test]
fn an_encrypted_key_is_used_with_its_password() {
    for key in [PBKDF2, PBKDF2_SHA_512, SCRYPT] {
        assert_eq!(with_key(key, Some(PASSWORD)), Ok(()));
        let with_preamble = format!("\u{feff}Bag Attributes\r\n{}", key.replace('\n', "\r\n"));
        assert_eq!(with_key(&with_preamble, Some(PASSWORD)), Ok(()));
    }
}

#[test]
fn what_is_wrong_with_an_encrypted_key_is_said() {
    let cut = PBKDF2.get(..200).unwrap();
    let garbled = PBKDF2.replace("MIH", "???");
    for (key, password, words) in [
        (
            PBKDF2,
            None,
            "give the password in key_password or --key-password-file",
        ),
        (PBKDF2, Some("swordfish"), "the password is wrong"),
        (SCRYPT, Some(""), "the password is wrong"),
        (PBES1, Some(PASSWORD), "openssl pkcs8 -topk8"),
        (LEGACY, Some(PASSWORD), "openssl pkcs8 -topk8"),
        (LEGACY, None, "openssl pkcs8 -topk8"),
        (TOO_MANY_ROUNDS, Some(PASSWORD), "would take too long"),
        (cut, Some(PASSWORD), "is damaged"),
        (&garbled, Some(PASSWORD), "no PEM"),
    ] {
        let said = with_key(key, password).unwrap_err();
        assert!(said.starts_with("TLS: the PEM in memory "), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn nothing_of_a_key_is_in_the_error_about_it() {
    // The line break behind the first line was lost.
    let joined = "-----BEGIN PRIVATE KEY-----s3ntinel\n-----END PRIVATE KEY-----\n";
    let cut = "-----BEGIN PRIVATE KEY-----\ns3ntinel\n";
    let no_base64 = "-----BEGIN PRIVATE KEY-----\ns3ntinel?\n-----END PRIVATE KEY-----\n";
    for key in [joined, cut, no_base64, "s3ntinel"] {
        let said = with_key(key, None).unwrap_err();
        assert!(said.contains("holds no key: "), "{said}");
        let bytes = format!("{:?}", b"s3nt");
        assert!(
            !said.contains("s3ntinel") && !said.contains(bytes.trim_matches(['[', ']'])),
            "{said}"
        );
    }
}

#[test]
fn the_password_of_a_key_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let mut options = TlsOptions::default();
    options.ca_file = Some(file("ca.pem", CERTIFICATE));
    options.identity = Some(TlsIdentity {
        cert_file: file("client.pem", CERTIFICATE),
        key_file: file("client.key", PBKDF2),
    });
    for content in ["sesame", "sesame\n", "sesame\r\n"] {
        options.key_password_file = Some(file("password", content));
        assert_eq!(build(options.clone()), Ok(()));
    }
    options.key_password_file = Some(file("password", "sesame\n\n"));
    let said = build(options.clone()).unwrap_err();
    assert!(said.contains("client.key cannot be decrypted"), "{said}");
    options.key_password_file = Some(directory.path().join("missing"));
    let said = build(options).unwrap_err();
    assert!(said.contains("missing cannot be read"), "{said}");
}
