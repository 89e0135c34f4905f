//! The producing loop: every record of the input is a call of its own.
//!
//! A record is borrowed from the buffer it was read into and encoded in place by the producer;
//! nothing is allocated, and nothing is waited for but room.

use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem::Finder;
use wolff::{Call, PartitionId, Producer, SendError, StartError, StorageError};

use super::counts::NotStored;
use super::summary::{EndOfInput, Place, Refused};
use super::watch::Watch;
use crate::args::{Format, InputArgs};
use crate::console::{self, WithCauses};
use crate::input::{Input, JsonRecord, LineRecord, MAX_LINE_BYTES, Piece, Source, lines};
use crate::stop::Stop;

/// Number of records taken so far, for those who look on.
#[derive(Debug, Default)]
pub(super) struct Taken(AtomicU64);

impl Taken {
    /// The number of records the producer has taken.
    pub(super) fn records(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Feeds a producer.
pub(super) struct Feed<'a> {
    producer: &'a Producer,
    sources: &'a [Source],
    taken: &'a Taken,
    format: Format,
    delimiter: Option<Finder<'a>>,
    source: usize,
    /// Of the line at hand, from 1 in each source.
    line: u64,
    count: u64,
    pub(super) refused: Refused,
    pub(super) watch: Watch<'a>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        producer: &'a Producer,
        args: &'a InputArgs,
        sources: &'a [Source],
        taken: &'a Taken,
    ) -> Self {
        Self {
            producer,
            sources,
            taken,
            format: args.format,
            delimiter: args
                .key_delimiter
                .as_ref()
                .map(|delimiter| Finder::new(&delimiter.0)),
            source: 0,
            line: 0,
            count: 0,
            refused: Refused::default(),
            watch: Watch::new(sources),
        }
    }

    /// Feeds until the input ends, or something ends it.
    pub(super) async fn run(&mut self, input: &mut Input, stop: &Stop) -> EndOfInput {
        tokio::select! {
            biased;
            () = stop.asked() => EndOfInput::Asked,
            end = self.feed(input, stop) => end,
        }
    }

    async fn feed(&mut self, input: &mut Input, stop: &Stop) -> EndOfInput {
        while let Some(piece) = input.next().await {
            // A fast input never lets the task sleep, and then nobody else would look.
            if stop.is_asked() {
                return EndOfInput::Asked;
            }
            let fed = match piece {
                Piece::Source(number) => {
                    (self.source, self.line) = (number, 0);
                    Ok(())
                }
                Piece::Lines(piece) => match self.format {
                    Format::Lines => self.feed_lines(piece.bytes()).await,
                    Format::Jsonl => self.feed_json(piece.bytes()).await,
                },
                Piece::TooLong => {
                    self.line += 1;
                    self.refuse_large(format_args!("it is longer than {MAX_LINE_BYTES} bytes"));
                    Ok(())
                }
                Piece::Failed(error) => Err(EndOfInput::Broken(error.to_string())),
            };
            if let Err(end) = fed.and_then(|()| self.check_queue()) {
                return end;
            }
        }
        EndOfInput::Reached
    }

    async fn feed_lines(&mut self, bytes: &[u8]) -> Result<(), EndOfInput> {
        for line in lines(bytes) {
            self.line += 1;
            let record = LineRecord::split(line, self.delimiter.as_ref());
            self.take(&record, None, line.len()).await?;
        }
        Ok(())
    }

    async fn feed_json(&mut self, bytes: &[u8]) -> Result<(), EndOfInput> {
        for line in lines(bytes) {
            self.line += 1;
            match JsonRecord::parse(line) {
                Ok(Some(record)) => self.take(&record, record.partition(), line.len()).await?,
                Ok(None) => {}
                Err(error) => self.refuse_wrong(&error),
            }
        }
        Ok(())
    }

    async fn take<C: Call>(
        &mut self,
        record: &C,
        partition: Option<PartitionId>,
        bytes: usize,
    ) -> Result<(), EndOfInput> {
        let taken = match partition {
            Some(partition) => {
                let call = self.producer.call(record).partition(partition);
                call.enqueue().await
            }
            None => self.producer.enqueue(record).await,
        };
        match taken.map_err(SendError::from) {
            Ok(receipt) => {
                self.count += 1;
                self.taken.0.store(self.count, Ordering::Release);
                self.watch.watch(receipt, self.source, self.line, bytes);
                Ok(())
            }
            Err(SendError::TooLarge { bytes, limit }) => {
                self.refuse_large(format_args!("it takes {bytes} bytes of at most {limit}"));
                Ok(())
            }
            Err(SendError::QueueUnavailable(error)) => self.queue_failed(&error),
            Err(error @ SendError::Stopped) => Err(EndOfInput::Broken(error.to_string())),
            Err(error) => {
                self.refuse_wrong(&WithCauses(&error));
                Ok(())
            }
        }
    }

    /// The queue did not store the record of the line at hand.
    fn queue_failed(&mut self, error: &StorageError) -> Result<(), EndOfInput> {
        // One queue that cannot be opened closes its partition; the others go on.
        let is_closed = error.get_ref().is::<StartError>();
        if is_closed && self.producer.stats().partitions > 0 {
            self.name_line(format_args!("{}", WithCauses(error)));
            self.refused.closed += 1;
            return Ok(());
        }
        self.refused.not_stored += 1;
        Err(EndOfInput::QueueFailed {
            at: self.place(),
            why: WithCauses(error).to_string(),
        })
    }

    /// The queue on disk may have stopped to take records.
    fn check_queue(&self) -> Result<(), EndOfInput> {
        let not_stored = NotStored::of(&self.producer.stats());
        if not_stored.records == 0 {
            return Ok(());
        }
        Err(EndOfInput::QueueFailed {
            at: self.place(),
            why: not_stored.why,
        })
    }

    /// A line that is too large to be taken; the others can be.
    fn refuse_large(&mut self, why: std::fmt::Arguments<'_>) {
        self.name_line(format_args!("the line is too large for a record: {why}"));
        self.refused.too_large += 1;
    }

    /// A line of which no record can be made; the others are taken: whoever writes them cannot ask
    /// again.
    fn refuse_wrong(&mut self, why: &dyn std::fmt::Display) {
        self.name_line(format_args!("{why}"));
        self.refused.wrong += 1;
    }

    fn name_line(&self, why: std::fmt::Arguments<'_>) {
        if self.refused.names_lines() {
            console::error(format_args!("{}: {why}", self.place()));
        }
    }

    fn place(&self) -> Place {
        let source = self.sources.get(self.source).unwrap_or(&Source::Stdin);
        Place {
            source: source.clone(),
            line: self.line,
        }
    }
}
