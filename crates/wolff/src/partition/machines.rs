//! The two machines behind a queue, as the facade uses them.

use std::time::Instant;

use bytes::BytesMut;
use wolff_codec::records::RecordRef;
use wolff_core::{
    Accepted, DoubtReason, Ended, FailReason, Machine, MemoryUse, Opening, Partition,
    QueueItemError, Refused, Snapshot, Unrouted,
};

use super::Token;

/// A machine that accepts calls.
pub(crate) trait CallMachine: Machine + Send + 'static {
    fn accept<'a, I>(
        &mut self,
        records: I,
        is_awaited: bool,
        opening: impl FnOnce() -> Opening<Token>,
        memory: impl FnOnce(usize) -> BytesMut,
    ) -> Result<Accepted<Token>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone;

    fn poll_end(&mut self) -> Option<Ended<Token>>;
    fn wants_append(&self, now: Instant) -> bool;
    fn wants_lease(&self, now: Instant) -> bool;
    fn has_uncommitted(&self) -> bool;
    fn is_appending(&self) -> bool;
    fn request_commit(&mut self);
    fn queued_calls(&self) -> u64;
    fn has_failed_calls(&self) -> bool;
    fn flush(&mut self) -> u64;
    fn stop_accepting(&mut self);
    fn wind_down(&mut self);
    fn is_wound_down(&self) -> bool;
    fn is_drained(&self) -> bool;
    fn abandon(&mut self, unsent: &FailReason, sent: DoubtReason);
    fn refuse_unreadable(&mut self, error: QueueItemError);
    fn snapshot(&self) -> Snapshot;
    fn memory(&self) -> MemoryUse;
    fn memory_room(&self) -> u64;
    fn grow_memory_room(&mut self, bytes: u64);
    fn set_memory_room(&mut self, bytes: u64, is_short: bool);
    fn hold_beside(&mut self, bytes: usize);
    fn let_go_beside(&mut self, bytes: usize);
}

macro_rules! call_machine {
    ($machine:ident, $is_wound_down:expr, $abandon:expr) => {
        impl CallMachine for $machine<Token> {
            #[inline]
            fn accept<'a, I>(
                &mut self,
                records: I,
                is_awaited: bool,
                opening: impl FnOnce() -> Opening<Token>,
                memory: impl FnOnce(usize) -> BytesMut,
            ) -> Result<Accepted<Token>, Refused>
            where
                I: Iterator<Item = RecordRef<'a>> + Clone,
            {
                $machine::accept(self, records, is_awaited, opening, memory)
            }

            fn poll_end(&mut self) -> Option<Ended<Token>> {
                $machine::poll_end(self)
            }

            fn wants_append(&self, now: Instant) -> bool {
                $machine::wants_append(self, now)
            }

            fn wants_lease(&self, now: Instant) -> bool {
                $machine::wants_lease(self, now)
            }

            fn has_uncommitted(&self) -> bool {
                $machine::has_uncommitted(self)
            }

            fn is_appending(&self) -> bool {
                $machine::is_appending(self)
            }

            fn request_commit(&mut self) {
                $machine::request_commit(self);
            }

            fn queued_calls(&self) -> u64 {
                $machine::queued_calls(self)
            }

            fn has_failed_calls(&self) -> bool {
                $machine::has_failed_calls(self)
            }

            fn flush(&mut self) -> u64 {
                $machine::flush(self)
            }

            fn stop_accepting(&mut self) {
                $machine::stop_accepting(self);
            }

            fn wind_down(&mut self) {
                $machine::wind_down(self);
            }

            fn is_wound_down(&self) -> bool {
                $is_wound_down(self)
            }

            fn is_drained(&self) -> bool {
                $machine::is_drained(self)
            }

            fn abandon(&mut self, unsent: &FailReason, sent: DoubtReason) {
                $abandon(self, unsent, sent);
            }

            fn refuse_unreadable(&mut self, error: QueueItemError) {
                $machine::refuse_unreadable(self, error);
            }

            fn snapshot(&self) -> Snapshot {
                $machine::snapshot(self)
            }

            fn memory(&self) -> MemoryUse {
                $machine::memory(self)
            }

            #[inline]
            fn memory_room(&self) -> u64 {
                $machine::memory_room(self)
            }

            fn grow_memory_room(&mut self, bytes: u64) {
                $machine::grow_memory_room(self, bytes);
            }

            fn set_memory_room(&mut self, bytes: u64, is_short: bool) {
                $machine::set_memory_room(self, bytes, is_short);
            }

            #[inline]
            fn hold_beside(&mut self, bytes: usize) {
                $machine::hold_beside(self, bytes);
            }

            fn let_go_beside(&mut self, bytes: usize) {
                $machine::let_go_beside(self, bytes);
            }
        }
    };
}

call_machine!(
    Partition,
    |machine: &Partition<Token>| machine.is_wound_down(),
    |machine: &mut Partition<Token>, unsent: &FailReason, sent| machine.abandon(unsent, sent)
);
call_machine!(
    Unrouted,
    |machine: &Unrouted<Token>| !machine.has_outstanding(),
    |machine: &mut Unrouted<Token>, unsent: &FailReason, _| machine.abandon(unsent)
);
