//! Bytes that other implementations wrote, as files: recorded once, read by tests.
//!
//! `golden/messages/<API>.txt` has a line per message: version, direction, writer, and in
//! hexadecimal the frame without its length prefix. `golden/batches.txt` has a line per record
//! batch: writer, compression, bytes.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wolff_codec::ApiKey;
use wolff_codec::records::Compression;

use crate::text::{from_hex, to_hex};

/// Where they are kept.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Direction of the message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// A client to a broker.
    Request,
    /// A broker to a client.
    Response,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

/// A whole request or response.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Message {
    /// The API.
    pub api_key: ApiKey,
    /// The version.
    pub version: i16,
    /// Which of the two it is.
    pub direction: Direction,
    /// The program that wrote it, with its version: `java-4.4.0`. This crate's own requests are by
    /// `wolff`.
    pub writer: String,
    /// Header and body, without the length prefix.
    pub frame: Bytes,
}

/// A record batch.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Batch {
    /// The program that wrote it, with its version.
    pub writer: String,
    /// The name of its compression.
    pub compression: &'static str,
    /// Header and records.
    pub bytes: Bytes,
}

/// All messages, in order.
///
/// # Errors
/// When a file cannot be read or a line is not understood.
pub fn messages() -> io::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for entry in fs::read_dir(folder().join("messages"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let api_key = named(&name).ok_or_else(|| strange(&path, &name))?;
        for line in fs::read_to_string(&path)?.lines() {
            messages.push(message_of(api_key, line).ok_or_else(|| strange(&path, line))?);
        }
    }
    messages.sort();
    Ok(messages)
}

/// Replaces all messages.
///
/// # Errors
/// When a file cannot be written.
pub fn write_messages(messages: &[Message]) -> io::Result<()> {
    let folder = folder().join("messages");
    fs::create_dir_all(&folder)?;
    for of_api in messages.chunk_by(|left, right| left.api_key == right.api_key) {
        let lines = of_api.iter().map(|message| {
            let Message {
                version,
                direction,
                writer,
                frame,
                ..
            } = message;
            format!("{version} {direction} {writer} {}\n", to_hex(frame))
        });
        if let Some(name) = of_api.first().and_then(|message| message.api_key.name()) {
            fs::write(
                folder.join(name).with_extension("txt"),
                lines.collect::<String>(),
            )?;
        }
    }
    Ok(())
}

/// All batches, in order.
///
/// # Errors
/// When the file cannot be read or a line is not understood.
pub fn batches() -> io::Result<Vec<Batch>> {
    let path = folder().join("batches.txt");
    let text = fs::read_to_string(&path)?;
    let batches = text
        .lines()
        .map(|line| batch_of(line).ok_or_else(|| strange(&path, line)));
    batches.collect()
}

/// Replaces all batches.
///
/// # Errors
/// When the file cannot be written.
pub fn write_batches(batches: &[Batch]) -> io::Result<()> {
    let lines = batches.iter().map(|batch| {
        let Batch {
            writer,
            compression,
            bytes,
        } = batch;
        format!("{writer} {compression} {}\n", to_hex(bytes))
    });
    fs::create_dir_all(folder())?;
    fs::write(folder().join("batches.txt"), lines.collect::<String>())
}

fn message_of(api_key: ApiKey, line: &str) -> Option<Message> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    Some(Message {
        api_key,
        version: word()?.parse().ok()?,
        direction: match word()? {
            "request" => Direction::Request,
            "response" => Direction::Response,
            _ => return None,
        },
        writer: word()?.to_owned(),
        frame: from_hex(word()?)?,
    })
}

fn batch_of(line: &str) -> Option<Batch> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let writer = word()?.to_owned();
    let name = word()?;
    let compression = Compression::ALL
        .iter()
        .find(|compression| compression.name() == name)?;
    Some(Batch {
        writer,
        compression: compression.name(),
        bytes: from_hex(word()?)?,
    })
}

fn named(name: &str) -> Option<ApiKey> {
    let mut keys = ApiKey::NAMED.iter().copied();
    keys.find(|key| key.name() == Some(name))
}

fn strange(path: &Path, what: &str) -> io::Error {
    let what: String = what.chars().take(60).collect();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{}: `{what}` is not understood", path.display()),
    )
}
