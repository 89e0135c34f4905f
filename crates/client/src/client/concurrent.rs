//! Several things at the same time, so that a silent broker delays nobody else.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::task::Poll;

/// Brokers that one call sends requests to at the same time.
pub(super) const MOST_AT_ONCE: usize = 32;

/// Runs all of `works`, at most [`MOST_AT_ONCE`] at the same time. The outcomes are in the order of
/// the works.
pub(super) async fn all_of<F: Future>(works: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: VecDeque<_> = works.into_iter().enumerate().collect();
    let mut running = Vec::new();
    let mut outcomes = Vec::with_capacity(waiting.len());
    poll_fn(|context| {
        loop {
            while running.len() < MOST_AT_ONCE
                && let Some((index, work)) = waiting.pop_front()
            {
                running.push((index, Box::pin(work)));
            }
            running.retain_mut(|(index, work)| match work.as_mut().poll(context) {
                Poll::Ready(outcome) => {
                    outcomes.push((*index, outcome));
                    false
                }
                Poll::Pending => true,
            });
            if waiting.is_empty() || running.len() == MOST_AT_ONCE {
                break;
            }
        }
        match running.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_run_at_once_up_to_the_limit_and_come_back_in_order() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let work = |number: usize| {
            let (running, most) = (&running, &most);
            async move {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                tokio::time::sleep(Duration::from_secs(1)).await;
                running.set(running.get() - 1);
                number
            }
        };
        let start = tokio::time::Instant::now();
        let count = 2 * MOST_AT_ONCE + 1;
        let outcomes = all_of((0..count).map(work)).await;
        assert_eq!(outcomes, (0..count).collect::<Vec<_>>());
        assert_eq!(most.get(), MOST_AT_ONCE);
        assert_eq!(start.elapsed().as_secs(), 3);
        assert!(
            all_of(Vec::<std::future::Ready<()>>::new())
                .await
                .is_empty()
        );
    }
}
