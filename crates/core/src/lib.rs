//! The decisions of one Kafka partition queue, without any I/O.
//!
//! [`Partition`] is a state machine: callers' threads [`accept`](Partition::accept) records into
//! it, a driver feeds it [events](Event) and carries out what it requests:
//! [`poll_append`](Partition::poll_append) and [`poll_lease`](Partition::poll_lease) for the local
//! queue, [`poll_action`](Partition::poll_action) for the network,
//! [`poll_end`](Partition::poll_end) for those who wait, [`poll_timeout`](Partition::poll_timeout)
//! for the clock. It opens no socket or file, reads no clock and draws no ambient randomness: time
//! is an argument and the seed is configuration, so that a test or a simulator drives the very same
//! code in virtual time.
//!
//! ```text
//! accept ─► open batch ─cut─► fragments ─append─► local queue ─lease─► window ─► send ─► broker
//!           (encoded in       (group commit)      (memory, disk)      (stamped,             │
//!            place)                                   ▲                in order)            │
//!                                                     └ ack ◄─ reported ◄─ end ◄─ answer ◄──┘
//! ```
//!
//! # The driver's loop
//!
//! A [`Driver`] carries out appends, leases, stamps and splits at a [`LocalQueue`]; whoever owns it
//! carries out the actions on the network and reports the ends. With a queue that is a list, a
//! leader that takes everything, and no threads:
//!
//! ```
//! use std::sync::Mutex;
//! use std::time::Instant;
//!
//! use bytes::{Bytes, BytesMut};
//! use wolff_codec::records::{Compression, CompressionLevel, RecordRef};
//! use wolff_codec::{BrokerId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId};
//! use wolff_core::{
//!     Action, Answer, ClusterRequest, Config, Driver, DriverHost, Event, Leader, LocalLease,
//!     LocalQueue, Notice, Opening, Outcome, Partition, Recovered, StorageError,
//! };
//!
//! /// A local queue that keeps nothing across a restart, and so needs neither leases nor tags.
//! #[derive(Default)]
//! struct List(Mutex<(u64, Vec<(u64, Bytes)>)>);
//!
//! impl LocalQueue for List {
//!     type Lease = u64;
//!
//!     fn append(&self, payloads: &[Bytes]) -> Result<u64, StorageError> {
//!         let mut list = self.0.lock().expect("no panic");
//!         let first = list.0;
//!         list.0 += u64::try_from(payloads.len()).expect("few");
//!         list.1.extend((first..).zip(payloads.iter().cloned()));
//!         Ok(first)
//!     }
//!
//!     fn lease(
//!         &self,
//!         max_items: usize,
//!         stop_before: &mut dyn FnMut(&[u8]) -> bool,
//!     ) -> Result<Option<LocalLease<u64>>, StorageError> {
//!         let mut list = self.0.lock().expect("no panic");
//!         let fit = list.1.iter().take(max_items).take_while(|(_, item)| !stop_before(item));
//!         let count = fit.count();
//!         let items: Vec<_> = list.1.drain(..count).collect();
//!         Ok(items.first().map(|(id, _)| *id).map(|id| LocalLease { id, items }))
//!     }
//!
//!     fn reload(&self, id: u64) -> Result<LocalLease<u64>, StorageError> {
//!         Ok(LocalLease { id, items: Vec::new() })
//!     }
//!
//!     fn release(&self, _lease: u64) -> Result<(), StorageError> {
//!         Ok(())
//!     }
//!
//!     fn tag(&self, _lease: u64, _tag: Bytes) -> Result<(), StorageError> {
//!         Ok(())
//!     }
//!
//!     fn ack(&self, _lease: u64, _commit_tag: Option<Bytes>) -> Result<(), StorageError> {
//!         Ok(())
//!     }
//! }
//!
//! struct Host;
//!
//! impl DriverHost for Host {
//!     fn now(&self) -> Instant {
//!         Instant::now()
//!     }
//!     fn notice(&self, _notice: Notice<'_>) {}
//!     fn reuse(&self, _fragments: Vec<Bytes>) {}
//! }
//!
//! let config = Config::default();
//! let machine: Partition<&str> = Partition::new(&config, Recovered::default());
//! let compression = (Compression::None, CompressionLevel::default());
//! let driver = Driver::new(machine, List::default(), compression, []);
//!
//! // A caller's thread: one call of one record.
//! let record = RecordRef { value: Some(b"hello"), ..RecordRef::default() };
//! let opening = || Opening { token: "first batch", now: Instant::now(), now_ms: 0 };
//! driver.machine().accept(std::iter::once(record), false, opening, |_| BytesMut::new())?;
//!
//! // The driver's loop, until nothing is left.
//! let mut log = Vec::new();
//! while !driver.machine().is_drained() {
//!     driver.run_appends(&Host);
//!     driver.run_leases(&Host);
//!     let now = Instant::now();
//!     let action = driver.machine().poll_action(now);
//!     let event = match action {
//!         Some(Action::Connect { .. }) => Event::Connected(Leader {
//!             broker: BrokerId(1),
//!             epoch: LeaderEpoch(0),
//!             topic_id: TopicId::default(),
//!             cluster: 0,
//!             now_ms: 0,
//!         }),
//!         Some(Action::Request(ClusterRequest::Identity(_))) => Event::IdentityGranted {
//!             producer_id: ProducerId(1),
//!             epoch: ProducerEpoch(0),
//!         },
//!         Some(Action::Send(transmit)) => {
//!             log.push(transmit.body.encode(transmit.stamp)?);
//!             let answer = Answer { base_offset: Some(Offset(0)), ..Answer::default() };
//!             Event::Answered(transmit.batch, answer)
//!         }
//!         // With real I/O: wait for an event, or until `poll_timeout`.
//!         _ => continue,
//!     };
//!     driver.machine().handle(event, now);
//!     loop {
//!         let Some(ended) = driver.machine().poll_end() else { break };
//!         let completion = ended.completion.expect("records came to an end");
//!         assert_eq!(completion.outcome, Outcome::acked(Some(Offset(0))));
//!         // It is reported to those who wait; only then is the item acknowledged.
//!         if let Some(lease) = ended.lease {
//!             driver.machine().handle(Event::Reported(lease), now);
//!         }
//!     }
//! }
//! assert_eq!(log.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The words (fragment, lease, stamp, window, run, in doubt …) are in the
//! glossary of the repository's `ARCHITECTURE.md`; `README.md` beside this crate says what is found
//! where.
//!
//! # States
//!
//! The link to the leader is `Down → Connecting → Up → Down …`; the identity for idempotent writes
//! is `Absent → Requested → Ready → Absent …`; a batch in the window is
//! `Unstamped → Stamping → Ready → Sent → Acked | Refused`, and back to `Ready` when it has to be
//! sent again.

mod unrouted;

mod driver;

mod local_queue;
mod partition;

mod intake;
mod sending;

mod backlog;

mod completed_batch;
mod resume;

mod ends;
mod event;
mod routing;

mod routable;

mod action;
mod lease_progress;

mod assemble;
mod identity;
mod link;
mod retry;
mod stamp_tag;

mod split;

mod counters;
mod reencode;

mod deferred;
mod finished;
mod queue_item;
mod routing_tag;
mod verdict;

mod batch;

mod config;
mod outcome;

mod words;

pub use action::{
    Accepted, Action, AppendOperation, ClusterRequest, Completion, Ended, EndedLease, LeaseNo,
    LeaseOperation, Origin, QueueWork, Refused, Ticket, Transmit,
};
pub use assemble::LeasedBatches;
pub use backlog::{Recovered, RecoveredLease};
pub use batch::{BatchBody, BatchNo, Stamp};
pub use config::{Acks, Config, Idempotence, OnRefused, RetryDelay, Storage};
pub use counters::{Replay, Snapshot, Tally};
pub use driver::{Driver, DriverHost, Machine, Notice};
pub use event::{Answer, Event};
pub use identity::{IdentityRequest, IdentityScope};
pub use intake::Opening;
pub use lease_progress::records_ended;
pub use link::Leader;
pub use local_queue::{AppendedLease, LocalLease, LocalQueue};
pub use outcome::{DoubtReason, FailReason, Outcome, StorageError};
pub use partition::{MemoryUse, Partition};
pub use queue_item::{ItemContext, QueueItem, QueueItemError, RunPosition, batch_start};
pub use reencode::{BatchEncoder, Piece};
pub use routable::{Routable, RoutedCall, RoutedEnd, RoutedPart};
pub use routing_tag::RecordSet;
pub use split::{SplitRule, StoredBatch, split};
pub use stamp_tag::{LeaseTag, LeaseTagError, StampedBatch};
pub use unrouted::Unrouted;
pub use verdict::{Class, Proof, Refusal, Situation, TABLE, Verdict, classify, verdict};
pub use words::BrokerWords;
