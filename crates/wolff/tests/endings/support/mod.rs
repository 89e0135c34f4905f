//! The only part of these tests that knows the producer's API and the layout of its files:
//! scenarios are written in the words of this module, and outlast both.

mod world;

mod panicking;

mod handle;

mod disk;
mod ends;
mod waiting;

pub(crate) use self::{
    disk::{
        add_foreign_item, add_foreign_queue, damage_items, damage_middle, damage_segment,
        end_of_segment, hide, items_in, partition_directories, remove_segments,
        replace_oldest_waiting_segment, swap_segment,
    },
    ends::{End, Refusal, judge},
    handle::{Handle, Receipt, forced_panic},
    panicking::{PanickingDisk, panic_at_log, panicking_clock},
    waiting::{SOON, logged, poll_times, resident_bytes, thread_cpu, until, until_wait, within},
    world::{Setup, TOPIC, World, padded},
};
