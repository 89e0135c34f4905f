//! One attempt at something, whose outcome everybody who waits for it shares.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The way to the outcome. It breaks when the attempt is abandoned with its runtime.
pub(super) type Outcome<T, E> = oneshot::Receiver<Result<T, E>>;

type Waiting<T, E> = Vec<oneshot::Sender<Result<T, E>>>;

/// An attempt that is under way, as those see it who may want to join.
pub(super) struct Attempt<T, E> {
    /// `None` when the attempt is over.
    waiting: Arc<Mutex<Option<Waiting<T, E>>>>,
}

/// The side of whoever makes the attempt; dropping it abandons all who wait.
pub(super) struct Running<T: Clone, E: Clone> {
    attempt: Attempt<T, E>,
}

impl<T, E> Clone for Attempt<T, E> {
    fn clone(&self) -> Self {
        Self {
            waiting: Arc::clone(&self.waiting),
        }
    }
}

impl<T: Clone, E: Clone> Attempt<T, E> {
    /// A new attempt with somebody who waits for it.
    pub(super) fn start() -> (Self, Running<T, E>, Outcome<T, E>) {
        let (teller, outcome) = oneshot::channel();
        let attempt = Self {
            waiting: Arc::new(Mutex::new(Some(vec![teller]))),
        };
        let running = Running {
            attempt: attempt.clone(),
        };
        (attempt, running, outcome)
    }

    /// Waits together with the others; `None` when the attempt is over.
    pub(super) fn join(&self) -> Option<Outcome<T, E>> {
        let (teller, outcome) = oneshot::channel();
        self.waiting.lock().as_mut()?.push(teller);
        Some(outcome)
    }

    /// True if both are the same attempt.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.waiting, &other.waiting)
    }
}

impl<T: Clone, E: Clone> Running<T, E> {
    /// The attempt that is made.
    pub(super) fn attempt(&self) -> &Attempt<T, E> {
        &self.attempt
    }

    /// Ends the attempt and tells everybody who still listens.
    pub(super) fn finish(self, outcome: &Result<T, E>) {
        let waiting = self.attempt.waiting.lock().take();
        for teller in waiting.into_iter().flatten() {
            let _ = teller.send(outcome.clone());
        }
    }
}

impl<T: Clone, E: Clone> Drop for Running<T, E> {
    fn drop(&mut self) {
        self.attempt.waiting.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_gets_the_outcome_and_nobody_joins_afterwards() {
        let (attempt, running, first) = Attempt::<u32, ()>::start();
        let second = attempt.join().unwrap();
        drop(attempt.join());
        running.finish(&Ok(7));
        assert_eq!(first.await.unwrap(), Ok(7));
        assert_eq!(second.await.unwrap(), Ok(7));
        assert!(attempt.join().is_none());
    }

    #[tokio::test]
    async fn an_abandoned_attempt_is_over() {
        let (attempt, running, outcome) = Attempt::<u32, ()>::start();
        drop(running);
        assert!(outcome.await.is_err());
        assert!(attempt.join().is_none());
    }
}
