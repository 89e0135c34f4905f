//! Calls on their way into the machine: room, memory, and waiting for either.

use std::pin::Pin;
use std::sync::Arc;

use wolff_core::{Opening, QueueWork, Refused};

use super::super::machines::CallMachine;
use super::Queue;
use crate::buffers::Buffers;
use crate::clock;
use crate::completion::{Observer, Receipt};
use crate::config::Overflow;
use crate::memory::{Acquire, MemoryPermit};
use crate::record::Call;

/// Bytes of an observer: the callback, and what it is called with.
pub(super) const OBSERVER_BYTES: usize = 96;

/// A call that was accepted.
pub(crate) struct Taken {
    pub(crate) receipt: Receipt,
    pub(crate) call_no: u64,
}

impl<M: CallMachine> Queue<M> {
    /// Accepts one call: encoded in place, in the caller's thread. The observer is taken only
    /// with it. `is_awaited`: the caller waits until it is queued.
    #[inline]
    pub(crate) fn accept<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
    ) -> Result<Taken, Refused> {
        match self.accept_with(call, observer, is_awaited, None) {
            Err(Refused::NoMemory { bytes }) => {
                self.accept_grown(call, observer, is_awaited, bytes)
            }
            done => done,
        }
    }

    /// Tries again with more memory, as long as the budget has some: meanwhile the open batch may
    /// have moved on, so that the call needs more than the last attempt said.
    #[inline(never)]
    fn accept_grown<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
        mut bytes: usize,
    ) -> Result<Taken, Refused> {
        loop {
            let room = self.balance(&mut self.driver.machine());
            bytes = bytes.saturating_add(OBSERVER_BYTES);
            let permit = if usize::try_from(room).unwrap_or(usize::MAX) < bytes {
                let grown = self.memory.lock().try_acquire(bytes);
                Some(grown.ok_or(Refused::NoMemory { bytes })?)
            } else {
                None
            };
            match self.accept_with(call, observer, is_awaited, permit) {
                Err(Refused::NoMemory { bytes: needed }) => bytes = needed,
                done => return done,
            }
        }
    }

    /// The same with memory that was acquired for it.
    #[inline]
    fn accept_with<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
        permit: Option<MemoryPermit>,
    ) -> Result<Taken, Refused> {
        let now_ms = self.wall_clock.now_ms();
        let is_awaited = is_awaited && self.is_on_disk;
        let mut machine = self.driver.machine();
        if let Some(permit) = permit {
            self.add_memory(&mut machine, permit);
        }
        let room = machine.memory_room();
        let accepted = machine.accept(
            call.records(now_ms),
            is_awaited,
            || Opening {
                token: self.open.lock().open(self.partition),
                now: clock::now(),
                now_ms,
            },
            |bytes| Buffers::shared().take(bytes),
        )?;
        if let Some(observer) = observer.take() {
            let observer = if is_awaited {
                observer.sender_waits()
            } else {
                observer
            };
            accepted.token.observe(accepted.first_record, observer);
            machine.hold_beside(OBSERVER_BYTES);
        }
        let left = machine.memory_room();
        if left < room.saturating_sub(left).saturating_mul(2) {
            // Perhaps not enough for another one like it, which would have to be measured.
            self.grow_ahead(&mut machine);
        }
        drop(machine);
        if accepted.work != QueueWork::None && self.lanes.uses_threads() {
            self.request_append(accepted.work == QueueWork::Now);
        }
        if accepted.wakes {
            self.signals.wake();
        }
        Ok(Taken {
            receipt: Receipt::new(accepted.token, accepted.first_record),
            call_no: accepted.call_no,
        })
    }

    fn add_memory(&self, machine: &mut M, permit: MemoryPermit) {
        let gained = self.memory.lock().add(permit);
        machine.grow_memory_room(gained);
    }

    #[inline(never)]
    fn grow_ahead(&self, machine: &mut M) {
        let permit = self.memory.lock().try_acquire_ahead();
        if let Some(permit) = permit {
            self.add_memory(machine, permit);
        }
    }

    /// The same, waiting while the disk is behind, and with [`Overflow::Block`] while there is
    /// no room or no memory.
    pub(crate) async fn accept_waiting<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
        overflow: Overflow,
    ) -> Result<Taken, Refused> {
        // Kept while the queue moves: whoever waits for memory keeps the place in the line, and
        // leaves it when waiting for something else.
        let mut memory: Option<Pin<Box<Acquire>>> = None;
        let mut permit = None;
        loop {
            // Listen before trying, or the room that is made between the two would be missed.
            let mut moved = std::pin::pin!(self.signals.next_move());
            moved.as_mut().enable();
            let accepted = match permit.take() {
                None => self.accept(call, observer, is_awaited),
                permit => self.accept_with(call, observer, is_awaited, permit),
            };
            match accepted {
                Err(Refused::Behind) => {
                    memory = None;
                    moved.await;
                }
                Err(Refused::Full) if overflow == Overflow::Block => {
                    memory = None;
                    moved.await;
                }
                Err(Refused::NoMemory { bytes }) if overflow == Overflow::Block => {
                    let acquire =
                        memory.get_or_insert_with(|| Box::pin(self.memory.lock().acquire(bytes)));
                    tokio::select! {
                        biased;
                        granted = acquire.as_mut() => {
                            permit = Some(granted);
                            memory = None;
                        }
                        () = moved => {}
                    }
                }
                done => return done,
            }
        }
    }

    /// Gives memory back that is not needed any more. Returns the room that is left for calls.
    pub(super) fn balance(&self, machine: &mut M) -> u64 {
        let mut memory = self.memory.lock();
        let now = machine.memory();
        let room = memory.balance(now.used_bytes, now.leased_bytes);
        machine.set_memory_room(room, memory.is_short());
        room
    }

    /// Runs `look` until it returns a value, again after each move of the queue.
    pub(crate) async fn wait_for<R>(
        self: &Arc<Self>,
        mut look: impl FnMut(&mut M) -> Option<R>,
    ) -> R {
        loop {
            let mut moved = std::pin::pin!(self.signals.next_move());
            // Listen before looking, or a move between the two would be missed.
            moved.as_mut().enable();
            if let Some(found) = look(&mut self.driver.machine()) {
                return found;
            }
            moved.await;
        }
    }

    /// Waits until the call is queued at the durability level, or failed to be: then its end was
    /// reported.
    pub(crate) async fn wait_queued(self: &Arc<Self>, call_no: u64) {
        let has_failed = self
            .wait_for(|machine| {
                (machine.queued_calls() > call_no).then(|| machine.has_failed_calls())
            })
            .await;
        if has_failed {
            // It is counted a moment before it is reported, perhaps by another thread.
            self.report_ends();
        }
    }
}
