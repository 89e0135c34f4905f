//! Reports of the libraries by `tracing`, as lines on stderr.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::console;
use crate::exit::Failure;

/// The variable that chooses levels, as `debug` or `warn,wolff_client=debug`.
const VARIABLE: &str = "WOLFF_LOG";

/// Lines of one kind that are shown within [`WINDOW`].
const LINES_OF_A_KIND: u32 = 2;
const WINDOW: Duration = Duration::from_secs(10);

/// Has reports shown from now on: warnings and errors, and more with each `-v`. The environment
/// comes first.
pub(crate) fn start(verbosity: u8) -> Result<(), Failure> {
    let targets = match std::env::var(VARIABLE) {
        Ok(text) => text.parse::<Targets>().map_err(|error| {
            Failure::usage(format!("the variable {VARIABLE}={text:?} cannot be read: {error}"))
                .advice("write a level (error, warn, info, debug, trace), or target=level pairs with commas")
        })?,
        Err(_) => default_targets(verbosity),
    };
    let lines = Lines {
        repeats: (verbosity == 0).then(|| Mutex::new(Repeats(HashMap::new()))),
    };
    // It fails only if there is a subscriber already, and then reports go there.
    let _first = tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .try_init();
    Ok(())
}

fn default_targets(verbosity: u8) -> Targets {
    let level = match verbosity {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let targets = Targets::new().with_default(level);
    match verbosity {
        // Starting without a broker is reported by the commands themselves, with what to do.
        0 => targets
            .with_target("wolff::producer::builder", LevelFilter::ERROR)
            // So are records that were given up: with their line, or counted in the summary.
            .with_target("wolff::partition::queue::report", LevelFilter::OFF),
        _ => targets,
    }
}

/// Writes each event as one line.
struct Lines {
    /// If given, holds back lines of one kind that come too often.
    repeats: Option<Mutex<Repeats<Identifier>>>,
}

/// Counts lines by their kind.
struct Repeats<K>(HashMap<K, Window>);

struct Window {
    since: Instant,
    lines: u32,
}

impl<K: Eq + Hash> Repeats<K> {
    /// Returns `Some` if a line of this kind is shown: the number of those that were held back
    /// before it.
    fn admit(&mut self, kind: K, now: Instant) -> Option<u32> {
        let window = self.0.entry(kind).or_insert(Window {
            since: now,
            lines: 0,
        });
        let mut held_back = 0;
        if now.duration_since(window.since) >= WINDOW {
            held_back = window.lines.saturating_sub(LINES_OF_A_KIND);
            *window = Window {
                since: now,
                lines: 0,
            };
        }
        window.lines = window.lines.saturating_add(1);
        (window.lines <= LINES_OF_A_KIND).then_some(held_back)
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let held_back = match &self.repeats {
            Some(repeats) => repeats.lock().admit(metadata.callsite(), Instant::now()),
            None => Some(0),
        };
        let Some(held_back) = held_back else {
            return;
        };
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *metadata.level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        if held_back > 0 {
            console::say(format_args!(
                "{level}: ({held_back} more like the next one were not shown)"
            ));
        }
        console::say(format_args!("{level}: {line}"));
    }
}

/// The fields of an event, in the order in which a person reads them.
#[derive(Default)]
struct Line {
    message: String,
    /// Said behind a colon.
    reason: String,
    /// The rest, as `name=value`.
    details: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A `String` takes all that is written.
        let _infallible = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "error" | "reason" => write!(self.reason, ": {value:?}"),
            name => {
                let separator = if self.details.is_empty() { "" } else { ", " };
                write!(self.details, "{separator}{name}={value:?}")
            }
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.message, self.reason)?;
        if self.details.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_held_back_and_counted() {
        let start = Instant::now();
        let mut repeats = Repeats(HashMap::new());
        let shown = (0..20).filter(|_| repeats.admit("a", start).is_some());
        assert_eq!(shown.count(), 2);
        assert_eq!(repeats.admit("b", start), Some(0), "another kind");
        assert_eq!(repeats.admit("a", start + WINDOW), Some(18));
        assert_eq!(repeats.admit("a", start + WINDOW), Some(0));
    }

    #[test]
    fn levels_follow_the_flag() {
        let shows = |verbosity, level| default_targets(verbosity).would_enable("wolff", &level);
        assert!(shows(0, Level::WARN) && !shows(0, Level::INFO));
        assert!(shows(1, Level::INFO) && !shows(1, Level::DEBUG));
        assert!(shows(3, Level::TRACE));
    }
}
