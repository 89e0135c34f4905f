//! `wolff produce`: lines to Kafka, with a queue in between.
//!
//! Three phases: the input is read and accepted; what was accepted is drained; the producer is
//! stopped and the counts are told. Whatever ends the first phase early, the other two follow:
//! nothing that was accepted is forgotten.

mod accepted_log;

mod feed;
mod progress;
mod start;

mod drain;

mod report;
mod watch;

mod neighbours;
mod summary;

mod counts;
mod refusals;

use std::sync::Arc;
use std::time::Instant;

use crate::args::{Format, InputArgs, ProduceArgs, SendingArgs};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::input::{Input, Source, close_stdin, waits_for_typing};
use crate::stop::Stop;

use accepted_log::AcceptedLog;
use counts::Counts;
use feed::{Feed, Taken};
use progress::Progress;
use refusals::Refusals;
use report::Report;
use summary::{EndOfInput, Summary};

/// Runs the command.
pub(crate) async fn run(args: &ProduceArgs, stop: &Stop) -> Result<Exit, Failure> {
    if args.input.format == Format::Jsonl && args.input.key_delimiter.is_some() {
        return Err(Failure::usage("--key-delimiter is for --format lines")
            .advice("in JSON lines the key has a field of its own"));
    }
    let sources =
        Source::all(&args.input.files).map_err(|error| Failure::usage(error.to_string()))?;
    send(&args.sending, &args.input, sources, stop).await
}

/// Sends what the sources have.
pub(crate) async fn send(
    args: &SendingArgs,
    input: &InputArgs,
    sources: Vec<Source>,
    stop: &Stop,
) -> Result<Exit, Failure> {
    let started = Instant::now();
    let log_file = input
        .accepted_log
        .as_deref()
        .map(accepted_log::open)
        .transpose()?;
    let client = args.connection.client()?;
    let producer = tokio::select! {
        biased;
        () = stop.asked() => return Ok(drain::stopped_at_once(args).await),
        started = start::start(args, &client) => started?,
    };

    let taken = Arc::new(Taken::default());
    let log = log_file.map(|file| AcceptedLog::start(file, producer.clone(), taken.clone()));
    let progress = Progress::start(&producer);
    if waits_for_typing(&sources) {
        console::say("reading records from the terminal, one per line; end with Ctrl-D");
    }
    let mut feed = Feed::new(&producer, input, &sources, &taken);
    let end = match Input::read(sources.clone()) {
        Ok(mut input) => feed.run(&mut input, stop).await,
        Err(error) => EndOfInput::Broken(format!("cannot start the reading thread: {error}")),
    };
    close_stdin();
    progress.draining();
    let drained = drain::drain(&producer, &client, args, &end, stop).await;
    if let Some(log) = log {
        log.finish().await;
    }
    let refusals = Refusals::of(&producer.stats());
    let waits_for = drain::waits_for(&producer, &client, drained, &refusals).await;
    drain::stop(&producer).await;
    progress.finish();

    let counts = Counts::of(&producer.stats(), args.acks.into());
    feed.watch.finish(counts.failed + counts.in_doubt);
    let left = drain::records_left(args, drained, counts.left).await;
    let summary = Summary::new(&counts, &feed.refused, left, started.elapsed())
        .held_up(&refusals, &waits_for);
    let report = Report {
        args,
        summary: &summary,
        counts: &counts,
        refused: &feed.refused,
    };
    report.print(&end, &waits_for);
    report.print_neighbours(&drain::neighbours(args).await);
    let exit = summary.exit(&end);
    if !args.json {
        console::say(&summary);
    } else if let Err(failure) = console::report_json(&summary) {
        console::failure(&failure);
        console::say(&summary);
        // What became of the records says more.
        return Ok(match exit {
            Exit::Done => Exit::Unreported,
            exit => exit,
        });
    }
    Ok(exit)
}
