//! The thread that reads, and the bounded way from it to the producing loop.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc as std_mpsc;

use tokio::sync::mpsc;

use super::source::{Source, SourceError};

/// The longest line that is read, in bytes: what the producer's library takes as one call.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Buffers that grew larger than this for a long line are not kept.
const KEPT_BUFFER_BYTES: usize = 4 * BUFFER_BYTES;

/// Pieces that may wait for the producing loop.
const PIECES_AHEAD: usize = 4;

/// Piece that the reader found.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The next source begins; its number.
    Source(usize),
    /// Whole lines, one or more; only the last one of a source can lack its line feed.
    Lines(Lines),
    /// A line that is longer than [`MAX_LINE_BYTES`]; it was skipped.
    TooLong,
    /// A source cannot be read any further. Nothing follows.
    Failed(SourceError),
}

/// Some whole lines, in a buffer that goes back to the reader when this is dropped.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Buffer,
    back: std_mpsc::Sender<Vec<u8>>,
}

impl Lines {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.input()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.buffer.bytes);
        if bytes.len() <= KEPT_BUFFER_BYTES {
            let _reader_has_ended = self.back.send(bytes);
        }
    }
}

/// The input, as it is read.
#[derive(Debug)]
pub(crate) struct Input {
    pieces: mpsc::Receiver<Piece>,
}

impl Input {
    /// Starts to read. The thread ends with the input, or with the process when a read blocks.
    pub(crate) fn read(sources: Vec<Source>) -> io::Result<Self> {
        Self::start(sources, BUFFER_BYTES, MAX_LINE_BYTES)
    }

    fn start(sources: Vec<Source>, buffer_bytes: usize, max_line_bytes: usize) -> io::Result<Self> {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let (back, returned) = std_mpsc::channel();
        let reader = Reader {
            pieces: sender,
            back,
            returned,
            buffer_bytes,
            max_line_bytes,
        };
        std::thread::Builder::new()
            .name("wolff-input".to_owned())
            .spawn(move || reader.run(&sources))?;
        Ok(Self { pieces })
    }

    /// The next piece; `None` at the end of the input.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }
}

/// Why the reader stops early.
enum End {
    /// Nobody wants more.
    NotWanted,
    Io(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Reader {
    pieces: mpsc::Sender<Piece>,
    back: std_mpsc::Sender<Vec<u8>>,
    returned: std_mpsc::Receiver<Vec<u8>>,
    buffer_bytes: usize,
    max_line_bytes: usize,
}

impl Reader {
    fn run(&self, sources: &[Source]) {
        for (number, source) in sources.iter().enumerate() {
            let read = self.send(Piece::Source(number)).and_then(|()| {
                let mut file = source.open()?;
                self.read_lines(&mut *file)
            });
            match read {
                Ok(()) => {}
                Err(End::NotWanted) => return,
                Err(End::Io(error)) => {
                    let _not_wanted = self.send(Piece::Failed(source.error(error)));
                    return;
                }
            }
        }
    }

    fn read_lines(&self, file: &mut dyn Read) -> Result<(), End> {
        let mut buffer = self.buffer();
        // Inside of a line that is too long: it is read over.
        let mut is_skipping = false;
        loop {
            // One more than a line may have: that one is its line feed, or one too many.
            if !buffer.has_room(self.max_line_bytes + 1) {
                is_skipping = true;
                buffer = self.buffer();
            }
            let mut looked_at = buffer.filled;
            if buffer.read(file)? == 0 {
                return match is_skipping {
                    true => self.send(Piece::TooLong),
                    false if buffer.filled > 0 => self.send_lines(buffer),
                    false => Ok(()),
                };
            }
            if is_skipping {
                match memchr::memchr(b'\n', buffer.input()) {
                    Some(at) => buffer.remove_front(at + 1),
                    None => {
                        buffer.filled = 0;
                        continue;
                    }
                }
                self.send(Piece::TooLong)?;
                is_skipping = false;
                looked_at = 0;
            }
            let fresh = buffer.input().get(looked_at..).unwrap_or_default();
            if let Some(at) = memchr::memrchr(b'\n', fresh) {
                let rest = buffer.split_off(looked_at + at + 1, self.buffer());
                self.send_lines(std::mem::replace(&mut buffer, rest))?;
            }
        }
    }

    fn send_lines(&self, buffer: Buffer) -> Result<(), End> {
        let back = self.back.clone();
        self.send(Piece::Lines(Lines { buffer, back }))
    }

    fn send(&self, piece: Piece) -> Result<(), End> {
        self.pieces.blocking_send(piece).map_err(|_| End::NotWanted)
    }

    fn buffer(&self) -> Buffer {
        let bytes = self.returned.try_recv();
        Buffer {
            bytes: bytes.unwrap_or_else(|_| vec![0; self.buffer_bytes]),
            filled: 0,
        }
    }
}

/// Input from the start of a line on.
#[derive(Debug, Default)]
struct Buffer {
    /// All of it is initialised, so that it can be read into.
    bytes: Vec<u8>,
    /// Number of its bytes that are input.
    filled: usize,
}

impl Buffer {
    fn input(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Makes room for at least a byte, unless that would take more than `limit` bytes.
    fn has_room(&mut self, limit: usize) -> bool {
        if self.filled == self.bytes.len() {
            let doubled = self.bytes.len().saturating_mul(2).min(limit);
            self.bytes
                .reserve_exact(doubled.saturating_sub(self.filled));
            self.bytes.resize(doubled.max(self.filled), 0);
        }
        self.filled < self.bytes.len()
    }

    /// Reads once. 0 is the end of the file.
    fn read(&mut self, file: &mut dyn Read) -> io::Result<usize> {
        let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
        loop {
            match file.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    self.filled += *read.as_ref().unwrap_or(&0);
                    return read;
                }
            }
        }
    }

    fn remove_front(&mut self, count: usize) {
        self.bytes.copy_within(count..self.filled, 0);
        self.filled -= count;
    }

    /// Moves what is behind `at` to another buffer, which is empty.
    fn split_off(&mut self, at: usize, mut rest: Self) -> Self {
        let tail = self.input().get(at..).unwrap_or_default();
        if rest.bytes.len() < tail.len() {
            rest.bytes.resize(tail.len(), 0);
        }
        if let Some(front) = rest.bytes.get_mut(..tail.len()) {
            front.copy_from_slice(tail);
        }
        rest.filled = tail.len();
        self.filled = at;
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Pieces of these files: lines without their line feeds, and marks.
    fn read(files: &[&[u8]], buffer_bytes: usize, max_line_bytes: usize) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let mut sources = Vec::new();
        for (number, content) in files.iter().enumerate() {
            let path = directory.path().join(number.to_string());
            fs::write(&path, content).unwrap();
            sources.push(Source::File(path));
        }
        let mut input = Input::start(sources, buffer_bytes, max_line_bytes).unwrap();
        let mut found = Vec::new();
        while let Some(piece) = input.pieces.blocking_recv() {
            match piece {
                Piece::Source(number) => found.push(format!("#{number}")),
                Piece::TooLong => found.push("too long".to_owned()),
                Piece::Failed(error) => found.push(error.to_string()),
                Piece::Lines(lines) => {
                    let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
                    found.extend(text.lines().map(str::to_owned));
                }
            }
        }
        found
    }

    #[test]
    fn lines_come_whole_whatever_the_buffer_size() {
        let text = b"one\n\nthree and more\nlast";
        for buffer_bytes in 1..40 {
            let found = read(&[text], buffer_bytes, 100);
            assert_eq!(
                found,
                ["#0", "one", "", "three and more", "last"],
                "{buffer_bytes}"
            );
        }
    }

    #[test]
    fn a_source_ends_its_last_line() {
        let found = read(&[b"a", b"", b"b\n", b"c"], 8, 100);
        assert_eq!(found, ["#0", "a", "#1", "#2", "b", "#3", "c"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_told() {
        for buffer_bytes in [1, 3, 4, 5, 6] {
            let found = read(
                &[b"12345\n123456\na\n1234567890\nb\n12345678"],
                buffer_bytes,
                5,
            );
            let expected = ["#0", "12345", "too long", "a", "too long", "b", "too long"];
            assert_eq!(found, expected, "{buffer_bytes}");
        }
    }

    #[test]
    fn a_file_that_vanishes_ends_the_input_with_its_name() {
        let missing = Source::File("/nonexistent/x".into());
        let mut input = Input::start(vec![missing, Source::Stdin], 8, 8).unwrap();
        assert!(matches!(
            input.pieces.blocking_recv(),
            Some(Piece::Source(0))
        ));
        let Some(Piece::Failed(error)) = input.pieces.blocking_recv() else {
            panic!()
        };
        assert!(
            error
                .to_string()
                .starts_with("cannot read /nonexistent/x: ")
        );
        assert!(input.pieces.blocking_recv().is_none());
    }
}
