//! Attempts that start one after the other, each without waiting for a slow one before it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

/// Number of attempts that start each time when those before have had no success for so long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Growth {
    /// One.
    Steady,
    /// One, then twice as many each time: the only healthy host among a hundred is found in
    /// seconds.
    Doubling,
}

/// Runs `attempts` until one succeeds; the others are dropped.
///
/// The next attempt starts when one has failed, and the next ones `stagger` after the last have
/// started: a black hole at the front of the list costs one `stagger`, not its whole timeout
/// (RFC 8305).
///
/// # Errors
/// Why each attempt failed, in the order of the attempts; empty when there were none.
pub(crate) async fn race_staggered<T, E, F>(
    attempts: impl IntoIterator<Item = F>,
    stagger: Duration,
    growth: Growth,
) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting: VecDeque<_> = attempts.into_iter().enumerate().collect();
    let mut running = Vec::new();
    let mut failures = Vec::new();
    let mut starting = 1_usize;
    let mut at_once = if growth == Growth::Doubling {
        2
    } else {
        1_usize
    };
    let mut pause = pin!(tokio::time::sleep(stagger));
    poll_fn(|context| {
        loop {
            while starting > 0
                && let Some((index, attempt)) = waiting.pop_front()
            {
                running.push((index, Box::pin(attempt)));
                pause.as_mut().reset(Instant::now() + stagger);
                starting -= 1;
            }
            starting = 0;

            let mut winner = None;
            running.retain_mut(|(index, attempt)| {
                if winner.is_some() {
                    return true;
                }
                match attempt.as_mut().poll(context) {
                    Poll::Pending => return true,
                    Poll::Ready(Ok(value)) => winner = Some(value),
                    Poll::Ready(Err(reason)) => {
                        failures.push((*index, reason));
                        starting = 1;
                    }
                }
                false
            });
            if let Some(value) = winner {
                return Poll::Ready(Ok(value));
            }
            if waiting.is_empty() {
                if !running.is_empty() {
                    return Poll::Pending;
                }
                failures.sort_by_key(|(index, _)| *index);
                let reasons = failures.drain(..).map(|(_, reason)| reason).collect();
                return Poll::Ready(Err(reasons));
            }
            if starting == 0 {
                std::task::ready!(pause.as_mut().poll(context));
                starting = at_once;
                if growth == Growth::Doubling {
                    at_once = at_once.saturating_mul(2);
                }
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGGER: Duration = Duration::from_millis(250);

    async fn after(millis: u64, outcome: Result<u32, u32>) -> Result<u32, u32> {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        outcome
    }

    async fn race(attempts: Vec<(u64, Result<u32, u32>)>) -> (u128, Result<u32, Vec<u32>>) {
        let start = Instant::now();
        let attempts = attempts.into_iter().map(|(ms, outcome)| after(ms, outcome));
        let outcome = race_staggered(attempts, STAGGER, Growth::Steady).await;
        (start.elapsed().as_millis(), outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn one_success_behind_many_silences_comes_soon_when_attempts_double() {
        let start = Instant::now();
        let attempts = (0..100).map(|number| match number {
            99 => after(10, Ok(number)),
            _ => after(60_000, Err(number)),
        });
        let outcome = race_staggered(attempts, STAGGER, Growth::Doubling).await;
        assert_eq!(outcome, Ok(99));
        assert_eq!(start.elapsed(), STAGGER * 6 + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_costs_one_stagger() {
        let outcome = race(vec![(60_000, Err(1)), (10, Ok(2)), (0, Ok(3))]).await;
        assert_eq!(outcome, (260, Ok(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once() {
        let outcome = race(vec![(5, Err(1)), (5, Err(2)), (5, Ok(3))]).await;
        assert_eq!(outcome, (15, Ok(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_attempt_still_wins() {
        let outcome = race(vec![(300, Ok(1)), (300, Ok(2))]).await;
        assert_eq!(outcome, (300, Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_come_back_in_the_order_of_the_attempts() {
        let outcome = race(vec![(900, Err(1)), (10, Err(2)), (10, Err(3))]).await;
        assert_eq!(outcome, (900, Err(vec![1, 2, 3])));
        assert_eq!(race(vec![]).await, (0, Err(vec![])));
    }
}
