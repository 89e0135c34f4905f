//! Everything that the libraries tell, down to TRACE, written to the file that `WOLFF_TRACE` names:
//! `cargo xtask test` looks for secrets in it.
//!
//! Each secret of these tests has `s3ntinel` in it, by which it is found, plain or in base64.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a helper of tests, of which each test file uses a part"
)]

use std::fs::OpenOptions;
use std::sync::{Mutex, Once};

/// Has everything written from now on, if anybody wants it.
pub fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let Some(path) = std::env::var_os("WOLFF_TRACE") else {
            return;
        };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(Mutex::new(file))
            .init();
    });
}
