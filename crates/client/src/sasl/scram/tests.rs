//! The RFC's example, and every way in which a server can be wrong.

use super::client::{Greeting, Proven};
use super::keys::{Hash, Keys};
use super::messages::ServerFirst;
use super::*;
use crate::endpoint::Address;
use crate::error::SaslFailure;
use crate::sasl::credentials::Credentials;
use crate::sasl::mechanism::{Exchange, Mechanism, Reply};
use std::sync::Arc;

const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

/// Proof and signature for the user `user` with the password `pencil`: from RFC 7677, section 3,
/// and for SHA-512 the same exchange computed with Python's hashlib.
const VECTORS: [(Hash, &str, &str); 2] = [
    (
        Hash::Sha256,
        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
    (
        Hash::Sha512,
        "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
        "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
    ),
];

fn greeting() -> Greeting {
    Greeting::new("user", CLIENT_NONCE.into())
}

fn keys(hash: Hash) -> Keys {
    let challenged = greeting().handle_first(SERVER_FIRST.as_bytes()).unwrap();
    Keys::derive(hash, b"pencil", &challenged.salt, challenged.iterations)
}

/// The exchange up to the server's last message.
fn proven(keys: &Keys) -> (String, Proven) {
    let challenged = greeting().handle_first(SERVER_FIRST.as_bytes()).unwrap();
    let (message, proven) = challenged.prove(keys);
    let message = String::from_utf8(message.expose().to_vec()).unwrap();
    (message, proven)
}

#[test]
fn the_examples_of_the_standard_come_out_byte_by_byte() {
    assert_eq!(greeting().message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    for (hash, proof, signature) in VECTORS {
        let keys = keys(hash);
        let (message, proven) = proven(&keys);
        let nonce = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        assert_eq!(message, format!("c=biws,{nonce},p={proof}"));
        assert_eq!(proven.handle_final(signature.as_bytes(), &keys), Ok(()));
    }
}

#[test]
fn commas_and_equals_signs_in_names_are_escaped() {
    let greeting = Greeting::new("a=b,c", "x".into());
    assert_eq!(greeting.message(), "n,,n=a=3Db=2Cc,r=x");
}

#[test]
fn every_field_of_the_first_message_is_checked() {
    const NONCE: &str = "r=rOprNGfwEbeRWgbNEkqO%hv";
    for (message, fault) in [
        (String::new(), "no nonce"),
        ("garbage".into(), "no nonce"),
        ("e=other-error".into(), "no nonce"),
        // An extension that must be understood, and is not.
        (format!("m=ext,{NONCE},s=AAAA,i=4096"), "no nonce"),
        // Another nonce, a shorter one, the same one, one that begins earlier.
        ("r=somebodyelses,s=AAAA,i=4096".into(), "does not extend"),
        (
            "r=rOprNGfwEbeRWgbNEk,s=AAAA,i=4096".into(),
            "does not extend",
        ),
        (format!("r={CLIENT_NONCE},s=AAAA,i=4096"), "does not extend"),
        (
            format!("r=x{CLIENT_NONCE},s=AAAA,i=4096"),
            "does not extend",
        ),
        (
            format!("r={CLIENT_NONCE}\u{7f},s=AAAA,i=4096"),
            "does not extend",
        ),
        (format!("{NONCE},i=4096,s=AAAA"), "no salt"),
        (format!("{NONCE},s=,i=4096"), "salt"),
        (format!("{NONCE},s=A,i=4096"), "salt"),
        (format!("{NONCE},s=!!!!,i=4096"), "salt"),
        (NONCE.into(), "no salt"),
        (format!("{NONCE},s=AAAA"), "no iteration count"),
        (format!("{NONCE},s=AAAA,i="), "iteration count \"\""),
        (format!("{NONCE},s=AAAA,i=0"), "iteration count \"0\""),
        (format!("{NONCE},s=AAAA,i=1"), "iteration count \"1\""),
        (format!("{NONCE},s=AAAA,i=4095"), "iteration count \"4095\""),
        (format!("{NONCE},s=AAAA,i=-4096"), "iteration count"),
        (format!("{NONCE},s=AAAA,i=+4096"), "iteration count"),
        (format!("{NONCE},s=AAAA,i=1000001"), "iteration count"),
        (format!("{NONCE},s=AAAA,i=2147483647"), "iteration count"),
        (
            format!("{NONCE},s=AAAA,i={}", "9".repeat(999)),
            "iteration count",
        ),
        (
            format!("{NONCE},s=AAAA,i=4096,{}", "x".repeat(1 << 20)),
            "bytes",
        ),
    ] {
        let said = greeting().handle_first(message.as_bytes()).unwrap_err();
        assert!(said.contains(fault), "{message:.60}: {said}");
        assert!(said.len() < 200, "{said}");
    }
    assert!(greeting().handle_first(&[0xff, 0xfe]).is_err());
}

#[test]
fn the_bounds_themselves_and_unknown_extensions_are_fine() {
    for rest in ["i=4096", "i=1000000", "i=4096,ext=1,other=2"] {
        let message = format!("r={CLIENT_NONCE}x,s=AAAA,{rest}");
        assert!(ServerFirst::parse(&message, CLIENT_NONCE).is_ok(), "{rest}");
    }
}

#[test]
fn every_change_of_the_signature_is_noticed() {
    for (hash, _, signature) in VECTORS {
        let keys = keys(hash);
        for index in 2..signature.len() {
            let mut changed = signature.as_bytes().to_vec();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let (_, proven) = proven(&keys);
            assert!(proven.handle_final(&changed, &keys).is_err(), "{index}");
        }
        for length in 0..signature.len() {
            let (_, proven) = proven(&keys);
            let cut = &signature.as_bytes()[..length];
            assert!(proven.handle_final(cut, &keys).is_err(), "{length}");
        }
        let (_, proven) = proven(&keys);
        let said = proven.handle_final(b"e=invalid-proof", &keys).unwrap_err();
        assert_eq!(said, "it reports \"invalid-proof\"");
    }
}

#[test]
fn every_part_of_the_exchange_is_in_the_signature() {
    let (_, _, signature) = VECTORS[0];
    let keys = |password: &[u8], salt: &[u8], iterations| {
        Keys::derive(Hash::Sha256, password, salt, iterations)
    };
    let outcome = |greeting: Greeting, message: &str, password: &[u8]| {
        let challenged = greeting.handle_first(message.as_bytes()).unwrap();
        let keys = keys(password, &challenged.salt, challenged.iterations);
        let (_, proven) = challenged.prove(&keys);
        proven.handle_final(signature.as_bytes(), &keys)
    };
    assert_eq!(outcome(greeting(), SERVER_FIRST, b"pencil"), Ok(()));
    let other_name = Greeting::new("admin", CLIENT_NONCE.into());
    assert!(outcome(other_name, SERVER_FIRST, b"pencil").is_err());
    assert!(outcome(greeting(), SERVER_FIRST, b"pencil2").is_err());
    for (from, to) in [("%hv", "%hw"), ("s=W22", "s=X22"), ("i=4096", "i=4097")] {
        let changed = SERVER_FIRST.replace(from, to);
        assert!(outcome(greeting(), &changed, b"pencil").is_err(), "{to}");
    }
}

/// The exchange as connections drive it.
async fn exchange() -> (Box<dyn Exchange>, String) {
    let scram = Scram::sha_256(Arc::new(Credentials::new("user", "pencil")));
    let mut exchange = scram.start(&Address::new("kafka", 9092)).await.unwrap();
    let Reply::Send(message) = exchange.step(None).await.unwrap() else {
        panic!("done before it has begun");
    };
    let message = String::from_utf8(message.expose().to_vec()).unwrap();
    let nonce = message.strip_prefix("n,,n=user,r=").unwrap().to_owned();
    (exchange, nonce)
}

#[tokio::test]
async fn a_server_that_skips_its_proof_is_not_believed() {
    // Success without anything, before and after this side has proved itself.
    let (mut early, _) = exchange().await;
    assert!(matches!(
        early.step(Some(b"")).await,
        Err(SaslFailure::Broker(_))
    ));
    let (mut late, nonce) = exchange().await;
    let first = format!("r={nonce}more,s=AAAA,i=4096");
    assert!(matches!(
        late.step(Some(first.as_bytes())).await,
        Ok(Reply::Send(_))
    ));
    assert!(matches!(
        late.step(Some(b"")).await,
        Err(SaslFailure::Broker(_))
    ));
    assert!(late.step(Some(b"v=AAAA")).await.is_err(), "it stays over");
}

#[tokio::test]
async fn a_nonce_is_never_used_twice() {
    let (_, one) = exchange().await;
    let (_, other) = exchange().await;
    assert_ne!(one, other);
    assert_eq!(one.len(), 32);
}
