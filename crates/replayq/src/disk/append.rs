//! Appending to disk: group commit, rolling to the next segment, and what to do when a write or a sync fails.

use crate::sync::Mutex;
use bytes::Bytes;

use crate::disk::call::{Call, LeaseAsk};
use crate::disk::group_commit::Entered;
use crate::disk::writer::{WriteFailure, Writer, Written};
use crate::disk::{Appended, Disk, Settings};
use crate::error::{AppendError, IoFailure, LeaseError};
use crate::field;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry::{self, entries_bytes};
use crate::format::segment::head::Seal;
use crate::format::segment::key::SegmentKey;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::limits::load::Load;
use crate::moment::Moment;
use crate::state::leases::{Home, Replaced};
use crate::state::ledger::{Ledger, Place};
use crate::state::segments::Segment;
use crate::state::waiting::Item;

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

/// A group stops growing at this size.
const GROUP_BYTES: u64 = 4 << 20;

impl Disk {
    /// Appends the payloads, together with those of others who call meanwhile.
    pub(crate) fn append(
        &self,
        ledger: &Mutex<Ledger>,
        payloads: &[Bytes],
        lease: Option<&LeaseAsk>,
    ) -> Appended {
        match self.turns.enter(|| Call {
            payloads: payloads.to_vec(),
            lease: lease.cloned(),
        }) {
            Entered::Done(answer) => answer,
            Entered::Lead => {
                if !self.settings.max_delay.is_zero() {
                    self.turns.linger(self.settings.max_delay);
                }
                let mut writer = self.writer.lock();
                let followers = self.turns.gather();
                let own = CallRef { payloads, lease };
                let mut answers = if followers.calls.is_empty() {
                    self.append_calls(&mut writer, ledger, &[own])
                } else {
                    let calls: Vec<CallRef<'_>> = std::iter::once(own)
                        .chain(followers.calls.iter().map(|call| CallRef {
                            payloads: &call.payloads,
                            lease: call.lease.as_ref(),
                        }))
                        .collect();
                    self.append_calls(&mut writer, ledger, &calls)
                }
                .into_iter();
                drop(writer);
                let own = answers.next().unwrap_or(Err(AppendError::Closed));
                self.turns.leave(followers, answers);
                own
            }
        }
    }

    /// Appends the record of a lease alone. The lease has it before anybody else writes: a seal names only the
    /// records that leases have.
    pub(crate) fn append_lease(
        &self,
        ledger: &Mutex<Ledger>,
        id: LeaseId,
        record: &LeaseRecord,
    ) -> Result<Replaced, LeaseError> {
        let mut writer = self.writer.lock();
        if ledger.lock().is_closed {
            return Err(LeaseError::Closed);
        }
        let home = self.write_lease_entry(&mut writer, ledger, record)?;
        Ok(ledger.lock().set_tag(id, record, home))
    }

    pub(crate) fn write_lease_entry(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        record: &LeaseRecord,
    ) -> Result<Home, LeaseError> {
        let bytes = entry::entry_bytes(24_u64.saturating_add(field::wide(record.tag.len())));
        let in_memory = |key: SegmentKey| ledger.lock().is_in_memory_from(key.first_id);
        if writer.segment().is_some_and(in_memory) {
            // These items will get segments of their own, and the one being filled ends for its readers where they begin.
            self.close_segment(writer, ledger);
        }
        self.make_room(writer, ledger, bytes)?;
        let last_id = ledger.lock().next_id;
        let written = match writer.write(std::iter::empty(), last_id, Some(record)) {
            Ok(written) => written,
            Err(failure) => {
                self.take_back(writer, ledger, &failure);
                return Err(failure.cause.into());
            }
        };
        if self.settings.is_synced
            && let Err(failure) = writer.sync()
        {
            self.distrust(writer, ledger);
            return Err(failure.into());
        }
        let mut ledger = ledger.lock();
        Ok(note_lease(
            &mut ledger,
            &written,
            record,
            last_id.saturating_sub(1),
            &self.settings,
        ))
    }

    /// Cuts the calls into runs that are written at once. A call is never split over two segments.
    fn append_calls(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        mut calls: &[CallRef<'_>],
    ) -> Vec<Appended> {
        let mut answers = Vec::with_capacity(calls.len());
        if ledger.lock().is_closed {
            // Whoever closed the queue has let go of the directory: another may be in it.
            return calls.iter().map(|_| Err(AppendError::Closed)).collect();
        }
        if let Err(failure) = self.glance_at_directory() {
            return calls
                .iter()
                .map(|_| Err(AppendError::NotAppended(failure.clone())))
                .collect();
        }
        while let Some(first) = calls.first() {
            if let Some(answer) = self.append_to_memory(writer, ledger, first.payloads, first.lease)
            {
                answers.push(answer);
                calls = calls.get(1..).unwrap_or(&[]);
                continue;
            }
            let mut bytes = first.entry_bytes();
            if let Err(failure) = self.make_room(writer, ledger, bytes) {
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
            let mut appended = self.append_run(writer, ledger, run);
            let is_for_space = |answer: &Appended| matches!(answer, Err(AppendError::NotAppended(failure)) if failure.is_for_space());
            if appended.iter().all(is_for_space) && self.release_spares(ledger) {
                appended = self.append_run(writer, ledger, run);
            }
            answers.extend(appended);
            calls = rest;
        }
        answers
    }

    fn append_run(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        run: &[CallRef<'_>],
    ) -> Vec<Appended> {
        let (first_id, lease) = {
            let mut ledger = ledger.lock();
            if ledger.is_closed {
                return run.iter().map(|_| Err(AppendError::Closed)).collect();
            }
            let items = run.iter().map(|call| call.payloads.len()).sum();
            if !ledger.has_ids(items) {
                return run.iter().map(|_| Err(AppendError::NoMoreIds)).collect();
            }
            match prepare_lease(&mut ledger, run) {
                Ok(lease) => (ledger.next_id, lease),
                Err(error) => {
                    return run
                        .iter()
                        .map(|_| Err(AppendError::Lease(error.clone())))
                        .collect();
                }
            }
        };
        let accepted = self.now();
        let result = self.write_run(
            writer,
            ledger,
            run,
            (first_id, accepted),
            lease.as_ref().map(|lease| &lease.record),
        );
        let mut state = ledger.lock();
        match result {
            Ok(written) => publish(
                &mut state,
                &written,
                run,
                (first_id, accepted),
                lease,
                &self.settings,
            ),
            Err(error) => {
                state.put_back_taken(lease.map(|lease| lease.older).unwrap_or_default());
                drop(state);
                if run.len() > 1 && matches!(error, AppendError::NotAppended(_)) {
                    // Perhaps only one of them is too large for what space there is.
                    return run
                        .iter()
                        .flat_map(|call| {
                            self.append_calls(writer, ledger, std::slice::from_ref(call))
                        })
                        .collect();
                }
                run.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Writes a run, and syncs it where that is asked for; after a failed sync once more, into a new file.
    fn write_run(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
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
                && let Err(cause) = self.open_next_segment(writer, ledger)
            {
                failure.get_or_insert(cause);
                break;
            }
            let written = match writer.write(payloads(), first_id, record) {
                Ok(written) => written,
                Err(error) => {
                    let is_undone = self.take_back(writer, ledger, &error);
                    return Err(if is_undone && failure.is_none() {
                        AppendError::NotAppended(error.cause)
                    } else {
                        self.give_up(ledger, first_id, last_id, error.cause)
                    });
                }
            };
            if !self.settings.is_synced {
                return Ok(written);
            }
            match writer.sync() {
                Ok(()) => return Ok(written),
                Err(cause) => {
                    self.distrust(writer, ledger);
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
        Err(self.give_up(ledger, first_id, last_id, cause))
    }

    /// Makes sure that the segment being filled has room, closing it and making the next one if need be.
    fn make_room(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        entry_bytes: u64,
    ) -> Result<(), IoFailure> {
        if writer.has_room(entry_bytes) {
            return Ok(());
        }
        writer.choose_size(entry_bytes, self.now());
        if writer.segment().is_some() {
            self.close_segment(writer, ledger);
        }
        let opened = self.open_next_segment(writer, ledger);
        match opened {
            Err(failure) if failure.is_for_space() && self.release_spares(ledger) => {
                self.open_next_segment(writer, ledger)
            }
            opened => opened,
        }
    }

    fn open_next_segment(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
    ) -> Result<(), IoFailure> {
        let next_id = ledger.lock().next_id;
        self.open_segment(writer, ledger, next_id, self.now())
    }

    pub(crate) fn open_segment(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        first_id: u64,
        made: Moment,
    ) -> Result<(), IoFailure> {
        let previous_id = first_id.saturating_sub(1);
        let (key, spare) = {
            let mut ledger = ledger.lock();
            let key = SegmentKey {
                first_id,
                generation: ledger.generations.draw(),
            };
            let spare = if writer.takes_spares() {
                ledger.segments.take_spare()
            } else {
                None
            };
            (key, spare)
        };
        let old = spare.map(|(spare, _)| spare);
        let opened = match writer.open_segment(key, previous_id, made, old) {
            Err(_) if spare.is_some() => {
                // Whatever is wrong with that file, a new one may do; it is looked at again at the next open of the queue.
                writer.open_segment(key, previous_id, made, None)
            }
            other => other,
        };
        let file_bytes = opened?;
        let mut segment = Segment::new(key, previous_id, made, file_bytes);
        segment.is_unsynced = !self.settings.is_synced;
        ledger.lock().segments.insert(key, segment);
        Ok(())
    }

    /// Closes the segment being filled, with a seal.
    pub(crate) fn close_segment(&self, writer: &mut Writer, ledger: &Mutex<Ledger>) {
        let Some(key) = writer.segment() else { return };
        let seal = {
            let mut ledger = ledger.lock();
            let leases = ledger
                .leases
                .iter()
                .flat_map(|(_, lease)| &lease.homes)
                .filter_map(|home| match home {
                    Home::Entry {
                        segment, position, ..
                    } if *segment == key => Some(*position),
                    _ => None,
                });
            let leases = leases.collect();
            let ledger = &mut *ledger;
            let Some(segment) = ledger.segments.get_mut(key) else {
                return;
            };
            segment.is_closed = true;
            let seal = Seal {
                items: segment.items,
                payload_bytes: segment.payload_bytes,
                last_id: segment.last_id,
                end: segment.end,
                leases,
            };
            ledger.segments.note_changed(&ledger.acks, key);
            seal
        };
        if writer.close_segment(&seal).is_err()
            && let Some(segment) = ledger.lock().segments.get_mut(key)
        {
            segment.is_given_up = true;
        }
    }

    /// After a failed write: whether the file is as it was before. If not, the segment ends where it ended.
    pub(crate) fn take_back(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        failure: &WriteFailure,
    ) -> bool {
        if failure.is_undone {
            if let Some((key, bytes)) = writer.file_bytes() {
                ledger.lock().segments.set_file_bytes(key, bytes);
            }
        } else {
            self.distrust(writer, ledger);
        }
        failure.is_undone
    }

    /// Nothing more is written to the segment being filled: what it holds beyond what was answered is unknown.
    pub(crate) fn distrust(&self, writer: &mut Writer, ledger: &Mutex<Ledger>) {
        let mut ledger = ledger.lock();
        let open = writer.segment().or_else(|| {
            ledger
                .segments
                .iter()
                .next_back()
                .filter(|(_, segment)| !segment.is_closed)
                .map(|(key, _)| key)
        });
        let Some(key) = open else { return };
        let ledger = &mut *ledger;
        if let Some(segment) = ledger.segments.get_mut(key) {
            segment.is_closed = true;
            segment.is_given_up = true;
            writer.abandon(segment.end);
        }
        ledger.segments.note_changed(&ledger.acks, key);
    }

    /// A sync of the file failed: nothing more is written to it, and it is not used again.
    pub(crate) fn give_file_up(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        key: SegmentKey,
    ) {
        if writer.segment() == Some(key) {
            self.distrust(writer, ledger);
        } else if let Some(segment) = ledger.lock().segments.get_mut(key) {
            segment.is_given_up = true;
        }
    }

    /// The ids of items that may be on disk although their append failed are done at once, so that they never come back.
    fn give_up(
        &self,
        ledger: &Mutex<Ledger>,
        first_id: u64,
        last_id: u64,
        cause: IoFailure,
    ) -> AppendError {
        let version = {
            let mut ledger = ledger.lock();
            ledger.next_id = ledger.next_id.max(last_id.saturating_add(1));
            ledger.finish(first_id, last_id);
            ledger.version
        };
        let is_written = self.commit(ledger, version, &[]).is_ok();
        if is_written && (!self.settings.is_synced || self.control.lock().file.sync().is_ok()) {
            AppendError::NotAppended(cause)
        } else {
            AppendError::InDoubt(cause)
        }
    }
}

/// A lease in the making.
struct NewLease {
    record: LeaseRecord,
    /// The items before the new ones, taken out of the backlog.
    older: Vec<Item>,
}

/// The lease that the call asks for, if it does.
fn prepare_lease(ledger: &mut Ledger, run: &[CallRef<'_>]) -> Result<Option<NewLease>, LeaseError> {
    let Some(ask) = run.first().and_then(|call| call.lease) else {
        return Ok(None);
    };
    let first = ledger.lease_start(ask.from)?;
    let count: u64 = run
        .iter()
        .map(|call| field::wide(call.payloads.len()))
        .sum();
    let last = ItemId(ledger.next_id.saturating_add(count).saturating_sub(1));
    let record = LeaseRecord {
        sequence: ledger.next_lease_sequence(),
        items: ItemRange { first, last },
        tag: ask.tag.clone(),
    };
    let older = ledger.backlog.take(usize::MAX);
    ledger.transit.keep(&older);
    Ok(Some(NewLease { record, older }))
}

/// Shows what was written to the readers.
fn publish(
    ledger: &mut Ledger,
    written: &Written,
    run: &[CallRef<'_>],
    (first_id, accepted): (u64, Moment),
    lease: Option<NewLease>,
    settings: &Settings,
) -> Vec<Appended> {
    let mut position = written.position;
    let mut id = first_id;
    let mut payload_bytes = 0_u64;
    let mut answers = Vec::with_capacity(run.len());
    let mut leased: Vec<Item> = Vec::new();
    for call in run {
        let first = id;
        for payload in call.payloads {
            let item_bytes = field::wide(payload.len());
            payload_bytes = payload_bytes.saturating_add(item_bytes);
            let bytes = entry::entry_bytes(item_bytes);
            let item = Item {
                id: ItemId(id),
                payload: payload.clone(),
                accepted,
            };
            if lease.is_some() {
                leased.push(item);
            } else if ledger.backlog.push_written(item, settings.resident_bytes) {
                ledger.unread_from = Some(Place {
                    segment: written.segment,
                    position,
                    id,
                });
                ledger.read_through = id.saturating_sub(1);
            }
            position = position.saturating_add(bytes);
            id = id.saturating_add(1);
        }
        answers.push(Ok((
            ItemRange {
                first: ItemId(first),
                last: ItemId(id.saturating_sub(1)),
            },
            None::<LeaseId>,
        )));
    }
    ledger.next_id = id;
    if let Some(segment) = ledger.segments.get_mut(written.segment) {
        let load = Load {
            items: id.saturating_sub(first_id),
            bytes: payload_bytes,
        };
        segment.add(load, id.saturating_sub(1));
        segment.end = written.end;
        segment.is_unsynced = !settings.is_synced;
    }
    ledger
        .segments
        .set_file_bytes(written.segment, written.file_bytes);
    if let Some(NewLease { record, older }) = lease {
        let home = note_lease(ledger, written, &record, id.saturating_sub(1), settings);
        ledger.transit.end(&older);
        let items = older.into_iter().chain(leased).collect();
        let lease = ledger.open_lease(record.items, Some(items), Some(record.tag), vec![home]);
        if let Some(Ok((_, id))) = answers.first_mut() {
            *id = Some(lease);
        }
    }
    answers
}

fn note_lease(
    ledger: &mut Ledger,
    written: &Written,
    record: &LeaseRecord,
    id: u64,
    settings: &Settings,
) -> Home {
    if let Some(segment) = ledger.segments.get_mut(written.segment) {
        segment.is_unsynced = !settings.is_synced;
        segment.end = written.end;
    }
    ledger.segments.pin(written.segment);
    ledger
        .segments
        .set_file_bytes(written.segment, written.file_bytes);
    let payload_bytes = u32::try_from(record.tag.len())
        .unwrap_or(u32::MAX)
        .saturating_add(24);
    Home::Entry {
        segment: written.segment,
        position: written.lease_position,
        payload_bytes,
        id,
    }
}
