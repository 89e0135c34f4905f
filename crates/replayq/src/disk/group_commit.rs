//! Group commit: while one appender writes, the others queue up, and the next of them writes for all.

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

/// What [`Turns::enter`] came to.
pub(crate) enum Entered<Answer> {
    /// The caller leads, and must call [`Turns::leave`] in the end.
    Lead,
    /// Somebody else did the work.
    Done(Answer),
}

/// Those whom a leader owes answers.
pub(crate) struct Followers<Call, Answer> {
    tickets: Vec<Arc<Ticket<Call, Answer>>>,
    /// Their calls, in the order in which they came.
    pub(crate) calls: Vec<Call>,
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

    /// Waits for the turn, or for somebody else's turn to do what the call says. The call is only made where there is a wait.
    pub(crate) fn enter(&self, call: impl FnOnce() -> Call) -> Entered<Answer> {
        let ticket = {
            let mut line = self.line.lock();
            if !line.is_led {
                line.is_led = true;
                return Entered::Lead;
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
                State::Called => return Entered::Lead,
                unchanged => *state = unchanged,
            }
            ticket.changed.wait(&mut state);
        }
    }

    /// The leader waits a while for others to join.
    pub(crate) fn linger(&self, duration: Duration) {
        let mut line = self.line.lock();
        self.joined
            .wait_while_for(&mut line, |line| line.waiting.len() < ENOUGH, duration);
    }

    /// The leader takes on the calls of those who wait.
    pub(crate) fn gather(&self) -> Followers<Call, Answer> {
        let waiting = std::mem::take(&mut self.line.lock().waiting);
        let mut followers = Followers {
            tickets: Vec::with_capacity(waiting.len()),
            calls: Vec::with_capacity(waiting.len()),
        };
        for ticket in waiting {
            let taken = std::mem::replace(&mut *ticket.state.lock(), State::Taken);
            if let State::Waiting(call) = taken {
                followers.calls.push(call);
                followers.tickets.push(ticket);
            }
        }
        followers
    }

    /// Ends the leader's turn: the next in line leads, then the followers get their answers, so that work goes on while they wake up.
    pub(crate) fn leave(
        &self,
        followers: Followers<Call, Answer>,
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
        for (ticket, answer) in followers.tickets.into_iter().zip(answers) {
            *ticket.state.lock() = State::Answered(answer);
            ticket.changed.notify_one();
        }
    }
}
