//! Appending to disk: group commit, runs that are written at once, and failed writes and syncs.

use bytes::Bytes;

use crate::disk::Disk;
use crate::disk::call::{Call, LeaseAsk};
use crate::disk::group_commit::Entered;
use crate::disk::writer::Writer;
use crate::error::{AppendError, IoFailure};
use crate::field;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry::{self, entries_bytes};
use crate::moment::Moment;
use crate::state::ledger::Appended;
use crate::state::segment::Written;

/// An append in its turn.
#[derive(Copy, Clone)]
struct CallRef<'a> {
    payloads: &'a [Bytes],
    lease: Option<&'a LeaseAsk>,
}

impl CallRef<'_> {
    fn entry_bytes(&self) -> u64 {
        let items = entries_bytes(self.payloads);
        self.lease.map_or(items, |ask| {
            items.saturating_add(entry::entry_bytes(
                24_u64.saturating_add(field::wide(ask.tag.len())),
            ))
        })
    }
}

/// The answers so far, and those of the calls that the closed queue refuses.
fn rest_closed(mut answers: Vec<Appended>, calls: &[CallRef<'_>]) -> Vec<Appended> {
    answers.extend(calls.iter().map(|_| Err(AppendError::Closed)));
    answers
}

/// A group stops growing at this size.
const GROUP_BYTES: u64 = 4 << 20;

impl Disk {
    /// Appends the payloads, together with those of others who call meanwhile.
    pub(crate) fn append(&self, payloads: &[Bytes], lease: Option<&LeaseAsk>) -> Appended {
        let call = || Call {
            payloads: payloads.to_vec(),
            lease: lease.cloned(),
        };
        match self.turns.enter(call, &|| Err(self.panicked())) {
            Entered::Done(answer) => answer,
            Entered::Lead(mut turn) => {
                if !self.settings.max_delay.is_zero() {
                    turn.linger(self.settings.max_delay);
                }
                let mut writer = self.writer.lock();
                let followers = turn.gather();
                let own = CallRef { payloads, lease };
                let mut answers = if followers.is_empty() {
                    self.append_calls(&mut writer, &[own])
                } else {
                    let calls: Vec<CallRef<'_>> = std::iter::once(own)
                        .chain(followers.iter().map(|call| CallRef {
                            payloads: &call.payloads,
                            lease: call.lease.as_ref(),
                        }))
                        .collect();
                    self.append_calls(&mut writer, &calls)
                }
                .into_iter();
                drop(writer);
                let own = answers.next().unwrap_or(Err(AppendError::Closed));
                turn.end(answers);
                own
            }
        }
    }

    /// The result of an append whose leader has panicked in the middle of it.
    fn panicked(&self) -> AppendError {
        let cause = std::io::Error::other("the call that wrote for several has panicked");
        AppendError::InDoubt(IoFailure::new("write to", &self.directory, cause))
    }

    /// Cuts the calls into runs that are written at once. A call is never split over two segments.
    fn append_calls(&self, writer: &mut Writer, mut calls: &[CallRef<'_>]) -> Vec<Appended> {
        let mut answers = Vec::new();
        if let Err(failure) = self.glance_at_directory() {
            return calls
                .iter()
                .map(|_| Err(AppendError::NotAppended(failure.clone())))
                .collect();
        }
        if self.settings.offload.is_some() && self.ledger.lock().is_closed() {
            return rest_closed(answers, calls);
        }
        while let Some(first) = calls.first() {
            if let Some(answer) = self.append_to_memory(writer, first.payloads, first.lease) {
                answers.push(answer);
                calls = calls.get(1..).unwrap_or(&[]);
                continue;
            }
            let mut bytes = first.entry_bytes();
            if !writer.has_room(bytes) && self.ledger.lock().is_closed() {
                // The queue has given up its directory: another may be in it.
                return rest_closed(answers, calls);
            }
            if let Err(failure) = self.make_room(writer, bytes) {
                answers.push(Err(AppendError::NotAppended(failure)));
                calls = calls.get(1..).unwrap_or(&[]);
                continue;
            }
            let mut count = 1_usize;
            if first.lease.is_none() {
                for call in calls.iter().skip(1) {
                    let more = bytes.saturating_add(call.entry_bytes());
                    if call.lease.is_some() || more > GROUP_BYTES || !writer.has_room(more) {
                        break;
                    }
                    bytes = more;
                    count = count.saturating_add(1);
                }
            }
            let (run, rest) = calls.split_at_checked(count).unwrap_or((calls, &[]));
            let mut appended = self.append_run(writer, run);
            let is_for_space = |answer: &Appended| matches!(answer, Err(AppendError::NotAppended(failure)) if failure.is_for_space());
            if appended.iter().all(is_for_space) && self.release_spares() {
                appended = self.append_run(writer, run);
            }
            if answers.is_empty() {
                // Most often all calls are one run.
                answers = appended;
            } else {
                answers.extend(appended);
            }
            calls = rest;
        }
        answers
    }

    fn append_run(&self, writer: &mut Writer, run: &[CallRef<'_>]) -> Vec<Appended> {
        let items = run.iter().map(|call| call.payloads.len()).sum();
        let ask = run.first().and_then(|call| call.lease);
        let begun = self
            .ledger
            .lock()
            .begin_append(items, ask.map(|ask| (ask.from, &ask.tag)));
        let (first_id, lease) = match begun {
            Ok(begun) => begun,
            Err(error) => return run.iter().map(|_| Err(error.clone())).collect(),
        };
        let accepted = self.now();
        let result = self.write_run(
            writer,
            run,
            (first_id, accepted),
            lease.as_ref().map(|lease| &lease.record),
        );
        let mut state = self.ledger.lock();
        match result {
            Ok(written) => {
                let appended = state.publish(
                    &written,
                    run.iter().map(|call| call.payloads),
                    (first_id, accepted),
                    lease,
                    (self.settings.resident_bytes, self.settings.is_synced),
                );
                drop(state);
                if writer.is_oversized() {
                    // It has no room for more; once it is done it goes, and is not kept for the
                    // items to come.
                    self.close_segment(writer);
                }
                appended
            }
            Err(error) => {
                if let Some(lease) = lease {
                    state.put_back_older(lease);
                }
                drop(state);
                if run.len() > 1 && matches!(error, AppendError::NotAppended(_)) {
                    // Perhaps only one of them is too large for what space there is.
                    return run
                        .iter()
                        .flat_map(|call| self.append_calls(writer, std::slice::from_ref(call)))
                        .collect();
                }
                run.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Writes a run, and syncs it where that is asked for; after a failed sync once more, into a
    /// new file.
    fn write_run(
        &self,
        writer: &mut Writer,
        run: &[CallRef<'_>],
        (first_id, accepted): (u64, Moment),
        record: Option<&LeaseRecord>,
    ) -> Result<Written, AppendError> {
        const TRIES: usize = 2;
        let payloads = || {
            let payloads = run.iter().flat_map(|call| call.payloads);
            payloads.map(move |payload| (payload, accepted))
        };
        let items = run.iter().map(|call| field::wide(call.payloads.len()));
        let last_id = first_id.saturating_add(items.sum()).saturating_sub(1);
        let mut failure = None;
        for _ in 0..TRIES {
            if writer.segment().is_none()
                && let Err(cause) = self.open_next_segment(writer)
            {
                if failure.is_none() {
                    return Err(AppendError::NotAppended(cause));
                }
                break;
            }
            let written = match writer.write(payloads(), first_id, record) {
                Ok(written) => written,
                Err(error) => {
                    let is_undone = self.take_back(writer, &error);
                    return Err(if is_undone && failure.is_none() {
                        AppendError::NotAppended(error.cause)
                    } else {
                        self.give_up(first_id, last_id, error.cause)
                    });
                }
            };
            if !self.settings.is_synced {
                return Ok(written);
            }
            match writer.sync() {
                Ok(()) => return Ok(written),
                Err(cause) => {
                    self.distrust(writer);
                    failure.get_or_insert(cause);
                }
            }
        }
        let cause = failure.unwrap_or_else(|| {
            IoFailure::new(
                "write to",
                &self.directory,
                std::io::ErrorKind::Other.into(),
            )
        });
        Err(self.give_up(first_id, last_id, cause))
    }

    /// The ids of items that may be on disk although their append failed are done at once, so that
    /// they never come back.
    fn give_up(&self, first_id: u64, last_id: u64, cause: IoFailure) -> AppendError {
        let version = self.ledger.lock().burn(first_id, last_id);
        let is_written = self.commit(version, &[]).is_ok();
        if is_written && (!self.settings.is_synced || self.control.lock().file.sync().is_ok()) {
            AppendError::NotAppended(cause)
        } else {
            AppendError::InDoubt(cause)
        }
    }
}
