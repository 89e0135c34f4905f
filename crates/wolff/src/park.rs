//! Waiting for a future in a plain thread, which is parked meanwhile.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use tokio::runtime::Handle;

/// A blocking verb was called in the context of an async runtime: waiting there could block what is
/// waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a blocking verb was called within an async runtime; await the async verb there, or call this one from a plain thread"
)]
#[non_exhaustive]
pub struct WithinRuntime;

/// Unparks the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls the future in this thread until it is ready.
///
/// # Errors
/// [`WithinRuntime`]; the future was not polled.
pub(crate) fn block_on<F: Future>(
    runtime: Option<&Handle>,
    future: F,
) -> Result<F::Output, WithinRuntime> {
    let mut future = pin!(future);
    loop {
        // Without a deadline the first turn has the output.
        if let Some(output) = block_on_until(runtime, None, future.as_mut())? {
            return Ok(output);
        }
    }
}

/// Polls the future in this thread until it is ready, or until the deadline: then `None`. It is
/// polled once at least.
///
/// # Errors
/// [`WithinRuntime`]; the future was not polled.
pub(crate) fn block_on_until<F: Future>(
    runtime: Option<&Handle>,
    deadline: Option<Instant>,
    future: F,
) -> Result<Option<F::Output>, WithinRuntime> {
    if Handle::try_current().is_ok() {
        return Err(WithinRuntime);
    }
    // What the future needs of the runtime's context: its threads for blocking work.
    let _entered = runtime.map(Handle::enter);
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(Some(output));
        }
        match deadline {
            None => std::thread::park(),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(None);
                }
                std::thread::park_timeout(left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_future_that_another_thread_completes_is_waited_for() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let other = std::thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(block_on(None, receiver), Ok(Ok(7)));
        other.join().unwrap();
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let deadline = Instant::now() + Duration::from_millis(1);
        let waited = block_on_until(None, Some(deadline), std::future::pending::<()>());
        assert_eq!(waited, Ok(None));
    }

    #[tokio::test]
    async fn a_thread_of_a_runtime_is_not_blocked() {
        let waited = block_on(None, std::future::pending::<()>());
        assert_eq!(waited, Err(WithinRuntime));
    }
}
