//! The items of a queue on disk as JSON lines: its records where they are wolff's, else values.

use std::io::{self, BufWriter, PipeReader, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread::JoinHandle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use replayq::{Inspection, Inspector, ItemState, StoredItem};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use wolff::{Header, Record};

/// Bytes as JSON: text as it is, or an object with base64.
struct Payload<'a>(&'a [u8]);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(self.0))?;
        map.end()
    }
}

/// Headers as a list of pairs: names may repeat.
struct Headers<'a>(&'a [Header]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for header in self.0 {
            let value = header.value.as_deref().map(Payload);
            list.serialize_element(&(&*header.key, value))?;
        }
        list.end()
    }
}

/// A record as `produce --format jsonl` reads it.
struct Line<'a>(&'a Record);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", &record.key.as_deref().map(Payload))?;
        map.serialize_entry("value", &record.value.as_deref().map(Payload))?;
        if !record.headers.is_empty() {
            map.serialize_entry("headers", &Headers(&record.headers))?;
        }
        // Before 1970 is no time that a line can say.
        if let Some(timestamp) = record.timestamp_ms.filter(|timestamp| *timestamp >= 0) {
            map.serialize_entry("timestamp", &timestamp)?;
        }
        map.end()
    }
}

/// An item with all that is known about it.
struct Details<'a> {
    item: &'a StoredItem,
    records: Option<&'a [Record]>,
}

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.item.id.0)?;
        map.serialize_entry("state", state(self.item.state))?;
        map.serialize_entry("file", &*self.item.file)?;
        map.serialize_entry("position", &self.item.position)?;
        map.serialize_entry("bytes", &self.item.payload.len())?;
        match self.records {
            Some(records) => {
                map.serialize_entry("records", &records.iter().map(Line).collect::<Vec<_>>())?
            }
            None => map.serialize_entry("payload", &Payload(&self.item.payload))?,
        }
        map.end()
    }
}

fn state(state: ItemState) -> &'static str {
    match state {
        ItemState::Waiting => "waiting",
        ItemState::Leased => "leased",
        ItemState::Done => "done",
    }
}

/// Part of a queue that is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Selection {
    /// An object per item rather than one per record.
    pub(crate) items: bool,
    /// Items that are done as well.
    pub(crate) all: bool,
}

/// Writes the items of a queue, and says what was found on the way.
pub(crate) fn write(
    directory: &Path,
    selection: Selection,
    out: &mut dyn Write,
) -> io::Result<Inspection> {
    let mut written = Ok(());
    let inspection = Inspector::new().visit(directory, |item| {
        if selection.all || item.state != ItemState::Done {
            written = write_item(&item, selection, out);
        }
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    written?;
    inspection.map_err(io::Error::other)
}

fn write_item(item: &StoredItem, selection: Selection, out: &mut dyn Write) -> io::Result<()> {
    let records = wolff::queued_records(&item.payload);
    if selection.items {
        let details = Details {
            item,
            records: records.as_deref(),
        };
        return write_line(&details, out);
    }
    for record in records.unwrap_or_else(|| vec![raw(item.payload.clone())]) {
        write_line(&Line(&record), out)?;
    }
    Ok(())
}

fn raw(payload: Bytes) -> Record {
    Record::new().value(payload)
}

fn write_line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// The records of a queue as something to be read.
#[derive(Debug)]
pub(crate) struct Lines {
    pipe: PipeReader,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Lines {
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let (pipe, end) = io::pipe()?;
        let directory = directory.to_owned();
        let writer = std::thread::Builder::new()
            .name("wolff-queue".to_owned())
            .spawn(move || {
                let mut out = BufWriter::with_capacity(64 * 1024, end);
                write(&directory, Selection::default(), &mut out)?;
                out.flush()
            })?;
        Ok(Self {
            pipe,
            writer: Some(writer),
        })
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.pipe.read(buffer)?;
        if read == 0
            && !buffer.is_empty()
            && let Some(writer) = self.writer.take()
        {
            // The end, or as far as it came.
            writer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("reading the queue failed")))?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(record: &Record) -> String {
        serde_json::to_string(&Line(record)).unwrap()
    }

    #[test]
    fn null_and_empty_and_bytes_that_are_no_text_are_told_apart() {
        assert_eq!(line(&Record::new()), r#"{"key":null,"value":null}"#);
        assert_eq!(
            line(&Record::new().key("").value(vec![0xff, 0])),
            r#"{"key":"","value":{"base64":"/wA="}}"#
        );
        assert_eq!(
            line(
                &Record::new()
                    .value("v")
                    .header("h", "1")
                    .header("h", "2")
                    .timestamp_ms(5)
            ),
            r#"{"key":null,"value":"v","headers":[["h","1"],["h","2"]],"timestamp":5}"#
        );
    }
}
