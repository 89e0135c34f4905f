//! Waiting for conditions, with a deadline, and looking at the process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// The time after which something that should happen is taken not to.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// Interval at which a condition is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits for a future that must end soon.
#[track_caller]
pub(crate) fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(SOON, future).await {
            Ok(output) => output,
            Err(_) => panic!("not within {SOON:?}: {what} (waited for at {caller})"),
        }
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + SOON;
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "not within {SOON:?}: {what} (waited for at {caller})"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Polls a future so many times, letting others run in between, and then drops it.
pub(crate) async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..times {
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        Yield(false).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

/// Polls a future as it is woken, and drops it when it waits for the nth time, from 1; 0: it is
/// never polled. `None`: it was dropped.
pub(crate) async fn until_wait<F: Future>(future: F, nth: usize) -> Option<F::Output> {
    if nth == 0 {
        return None;
    }
    UntilWait {
        future: Box::pin(future),
        waits_left: nth,
    }
    .await
}

struct UntilWait<F> {
    future: Pin<Box<F>>,
    waits_left: usize,
}

impl<F: Future> Future for UntilWait<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                self.waits_left -= 1;
                if self.waits_left == 0 {
                    return Poll::Ready(None);
                }
                Poll::Pending
            }
        }
    }
}

struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Resident memory of this process, bytes.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() * 1024
}

/// Time that this thread has run on a processor.
pub(crate) fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = stat.split_whitespace().next();
    Duration::from_nanos(nanos.unwrap().parse().unwrap())
}

/// Collects the messages of warnings and errors that this thread logs from now on, until the guard
/// is dropped.
pub(crate) fn logged() -> (Arc<Mutex<Vec<String>>>, tracing::subscriber::DefaultGuard) {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let collected = messages.clone();
    let guard = listen(move |message| collected.lock().unwrap().push(message));
    (messages, guard)
}

/// Has this called with the messages of warnings and errors that this thread logs from now on,
/// until the guard is dropped.
pub(super) fn listen(
    hear: impl Fn(String) + Send + Sync + 'static,
) -> tracing::subscriber::DefaultGuard {
    // While there is but one subscriber, the thread that meets an event first decides whether
    // anybody wants it: another test's, which has none, would say no for this one.
    static SECOND: OnceLock<Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| Dispatch::new(Listener(drop::<String>)));
    tracing::subscriber::set_default(Listener(hear))
}

struct Listener<F>(F);

impl<F: Fn(String) + Send + Sync + 'static> Subscriber for Listener<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        (self.0)(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}
