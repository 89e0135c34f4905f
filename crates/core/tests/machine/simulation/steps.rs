//! The steps of random programs, and the configurations that they run in.

use std::time::Duration;

use proptest::prelude::*;
use wolff_codec::records::Compression;
use wolff_core::{Config, Idempotence, Storage};

use crate::support::{Fault, config};

#[derive(Clone, Debug)]
pub(super) enum Step {
    Send {
        records: u8,
        bytes: u16,
    },
    Appends,
    Leases,
    Ends,
    /// One network action.
    Act,
    /// The broker answers the oldest request.
    Answer,
    /// The broker applies the oldest request, and answers with an error.
    ApplyThenAnswer(i16),
    /// The broker answers the oldest request with an error and does not apply it.
    Refuse(i16),
    /// The broker applies so many requests, and the connection is lost.
    LoseLink {
        applied: u8,
        /// The rest is known not to have been sent.
        knows_not_sent: bool,
    },
    /// So many connections in a row are lost in the middle of the next request.
    CutLink(u8),
    /// The broker is restarted: it knows the last batch of each producer.
    Restart,
    /// The broker forgets all producers.
    Forget,
    ConnectFails,
    IdentityFails,
    /// The topic's limit changes.
    Limit(u16),
    Fail(QueueFault),
    /// The queue loses an item.
    Damage(u8),
    Wait(u16),
    Flush,
    /// The process is killed and started again.
    Kill,
}

#[derive(Clone, Debug)]
pub(super) enum QueueFault {
    Append,
    Lease,
    Tag(Fault),
    Unleased,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let applied = prop::sample::select(vec![3i16, 6, 7, 20, 56, -1]);
    let refused = prop::sample::select(vec![
        19i16, 5, 13, 3, 6, 7, 20, 56, -1, 2, 10, 29, 35, 44, 76, 87, 89, 100, 999,
    ]);
    prop_oneof![
        10 => (1u8..4, 0u16..200).prop_map(|(records, bytes)| Step::Send { records, bytes }),
        6 => Just(Step::Appends),
        6 => Just(Step::Leases),
        4 => Just(Step::Ends),
        14 => Just(Step::Act),
        10 => Just(Step::Answer),
        2 => applied.prop_map(Step::ApplyThenAnswer),
        2 => refused.prop_map(Step::Refuse),
        2 => (0u8..6, any::<bool>()).prop_map(|(applied, knows_not_sent)| Step::LoseLink {
            applied,
            knows_not_sent,
        }),
        1 => (2u8..4).prop_map(Step::CutLink),
        1 => Just(Step::Restart),
        1 => Just(Step::ConnectFails),
        1 => Just(Step::IdentityFails),
        1 => (150u16..800).prop_map(Step::Limit),
        1 => prop_oneof![
            Just(QueueFault::Append),
            Just(QueueFault::Lease),
            Just(QueueFault::Tag(Fault::NotDone)),
            Just(QueueFault::Tag(Fault::DoneAndInDoubt)),
            Just(QueueFault::Unleased),
        ].prop_map(Step::Fail),
        1 => any::<u8>().prop_map(Step::Damage),
        3 => (0u16..3000).prop_map(Step::Wait),
        1 => Just(Step::Flush),
        1 => Just(Step::Kill),
        1 => Just(Step::Forget),
    ]
}

pub(super) fn configs() -> impl Strategy<Value = Config> {
    (
        any::<bool>(),
        prop::sample::select(vec![
            Idempotence::Auto,
            Idempotence::Required,
            Idempotence::Off,
        ]),
        1usize..6,
        200usize..700,
        40usize..300,
        prop::sample::select(vec![0u64, 0, 50]),
        any::<bool>(),
        prop::sample::select(vec![16 * 1024, 100, 150]),
        any::<u64>(),
    )
        .prop_map(
            |(on_disk, idempotence, window, batch, fragment, linger, compresses, floor, seed)| {
                Config {
                    storage: if on_disk {
                        Storage::Disk
                    } else {
                        Storage::Memory
                    },
                    idempotence,
                    // Without sequence numbers only one request at a time keeps the order.
                    max_in_flight: if idempotence == Idempotence::Off {
                        1
                    } else {
                        window
                    },
                    max_batch_bytes: batch,
                    fragment_bytes: fragment,
                    link_floor_bytes: floor,
                    linger: Duration::from_millis(linger),
                    compression: if compresses {
                        Compression::Lz4
                    } else {
                        Compression::None
                    },
                    seed,
                    ..config()
                }
            },
        )
}
