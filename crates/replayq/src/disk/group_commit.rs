//! Group commit: while one appender writes, the others queue up, and the next of them writes for
//! all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};

/// Turns at writing: the leader works for itself and for all who wait.
#[derive(Debug)]
pub(crate) struct Turns<Call, Answer> {
    line: Mutex<Line<Call, Answer>>,
    joined: Condvar,
}

/// With so many others a leader does not wait for more.
const ENOUGH: usize = 64;

#[derive(Debug)]
struct Line<Call, Answer> {
    is_led: bool,
    waiting: VecDeque<Arc<Ticket<Call, Answer>>>,
}

#[derive(Debug)]
struct Ticket<Call, Answer> {
    state: Mutex<State<Call, Answer>>,
    changed: Condvar,
}

#[derive(Debug)]
enum State<Call, Answer> {
    Waiting(Call),
    /// With a leader.
    Taken,
    /// To lead.
    Called,
    Answered(Answer),
}

/// The result of [`Turns::enter`].
pub(crate) enum Entered<'a, Call, Answer> {
    /// The caller leads.
    Lead(Turn<'a, Call, Answer>),
    /// Another call did the work.
    Done(Answer),
}

/// The turn of the call that leads. However it ends, by a panic too, the next one leads and the
/// followers get an answer.
pub(crate) struct Turn<'a, Call, Answer> {
    turns: &'a Turns<Call, Answer>,
    /// Of those whom it owes answers.
    tickets: Vec<Arc<Ticket<Call, Answer>>>,
    /// Their answer where the call has come to no end.
    failed: &'a dyn Fn() -> Answer,
    is_over: bool,
}

impl<Call, Answer> Turns<Call, Answer> {
    pub(crate) fn new() -> Self {
        Self {
            line: Mutex::new(Line {
                is_led: false,
                waiting: VecDeque::new(),
            }),
            joined: Condvar::new(),
        }
    }

    /// Waits for the turn, or for the turn of another call that does this one's work. The call is
    /// only made where there is a wait. `failed`: the answer of those whose leader has panicked.
    pub(crate) fn enter<'a>(
        &'a self,
        call: impl FnOnce() -> Call,
        failed: &'a dyn Fn() -> Answer,
    ) -> Entered<'a, Call, Answer> {
        let lead = || {
            Entered::Lead(Turn {
                turns: self,
                tickets: Vec::new(),
                failed,
                is_over: false,
            })
        };
        let ticket = {
            let mut line = self.line.lock();
            if !line.is_led {
                line.is_led = true;
                return lead();
            }
            let ticket = Arc::new(Ticket {
                state: Mutex::new(State::Waiting(call())),
                changed: Condvar::new(),
            });
            line.waiting.push_back(Arc::clone(&ticket));
            if line.waiting.len() >= ENOUGH {
                self.joined.notify_one();
            }
            ticket
        };
        let mut state = ticket.state.lock();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Answered(answer) => return Entered::Done(answer),
                State::Called => return lead(),
                unchanged => *state = unchanged,
            }
            ticket.changed.wait(&mut state);
        }
    }

    /// The next in line leads, then those with these tickets get their answers, so that work goes on
    /// while they wake up.
    fn hand_over(
        &self,
        tickets: Vec<Arc<Ticket<Call, Answer>>>,
        answers: impl IntoIterator<Item = Answer>,
    ) {
        let next = {
            let mut line = self.line.lock();
            let next = line.waiting.pop_front();
            line.is_led = next.is_some();
            next
        };
        if let Some(ticket) = next {
            *ticket.state.lock() = State::Called;
            ticket.changed.notify_one();
        }
        for (ticket, answer) in tickets.into_iter().zip(answers) {
            *ticket.state.lock() = State::Answered(answer);
            ticket.changed.notify_one();
        }
    }
}

impl<Call, Answer> Turn<'_, Call, Answer> {
    /// Waits a while for others to join.
    pub(crate) fn linger(&self, duration: Duration) {
        let mut line = self.turns.line.lock();
        self.turns
            .joined
            .wait_while_for(&mut line, |line| line.waiting.len() < ENOUGH, duration);
    }

    /// Takes on the calls of those who wait. Returns them in the order in which they came.
    pub(crate) fn gather(&mut self) -> Vec<Call> {
        let waiting = std::mem::take(&mut self.turns.line.lock().waiting);
        let mut calls = Vec::with_capacity(waiting.len());
        self.tickets.reserve(waiting.len());
        for ticket in waiting {
            let taken = std::mem::replace(&mut *ticket.state.lock(), State::Taken);
            if let State::Waiting(call) = taken {
                calls.push(call);
                self.tickets.push(ticket);
            }
        }
        calls
    }

    /// Ends the turn, with the answers to the calls that were gathered.
    pub(crate) fn end(mut self, answers: impl IntoIterator<Item = Answer>) {
        self.is_over = true;
        self.turns
            .hand_over(std::mem::take(&mut self.tickets), answers);
    }
}

impl<Call, Answer> Drop for Turn<'_, Call, Answer> {
    fn drop(&mut self) {
        if !self.is_over {
            let tickets = std::mem::take(&mut self.tickets);
            self.turns
                .hand_over(tickets, std::iter::repeat_with(self.failed));
        }
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;

    #[test]
    fn a_leader_that_panics_leaves_nobody_waiting() {
        let turns: Turns<u32, &str> = Turns::new();
        let wait_for = |count| {
            while turns.line.lock().waiting.len() < count {
                thread::yield_now();
            }
        };
        thread::scope(|scope| {
            let enter = |call| match turns.enter(|| call, &|| "failed") {
                Entered::Lead(turn) => {
                    turn.end([]);
                    "led"
                }
                Entered::Done(answer) => answer,
            };
            let Entered::Lead(mut turn) = turns.enter(|| 1, &|| "failed") else {
                panic!("nobody leads");
            };
            let follower = scope.spawn(move || enter(2));
            wait_for(1);
            assert_eq!(turn.gather(), [2]);
            let next = scope.spawn(move || enter(3));
            wait_for(1);
            let panicked = catch_unwind(AssertUnwindSafe(move || {
                let _turn = turn;
                panic!("a file system that panics");
            }));
            assert!(panicked.is_err());
            assert_eq!(follower.join().unwrap(), "failed");
            assert_eq!(next.join().unwrap(), "led");
            assert_eq!(enter(4), "led");
        });
    }
}
