//! How the queue of a test is configured, and payloads that can be told apart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{Config, Durability, OpenError, Queue, Recovery, Storage};

/// The directory of the queue in the simulated file system.
pub(crate) const DIRECTORY: &str = "/queue";

/// Where items are kept, and what they survive.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Mode {
    Memory,
    Os,
    Fsync,
    Offload,
    OffloadVolatile,
}

/// How a process may end.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum End {
    Close,
    Kill,
    PowerLoss,
}

impl Mode {
    /// All that have a life after the first one.
    pub(crate) const DURABLE: [Self; 3] = [Self::Os, Self::Fsync, Self::Offload];
    /// Returns whether what was answered is there after such an end.
    pub(crate) fn keeps(self, end: End) -> bool {
        match self {
            Self::Memory | Self::OffloadVolatile => false,
            Self::Os => end != End::PowerLoss,
            Self::Fsync => true,
            Self::Offload => end == End::Close,
        }
    }

    /// Returns whether items of an earlier life may be there after such an end.
    pub(crate) fn has_another_life(self) -> bool {
        Self::DURABLE.contains(&self)
    }
}

/// Sizes at which things happen with few items.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    pub(crate) segment_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) spare_segments: usize,
    pub(crate) lease_slots: u32,
}

impl Setup {
    pub(crate) fn small(mode: Mode) -> Self {
        Self {
            mode,
            segment_bytes: 5000,
            resident_bytes: 1000,
            spare_segments: 1,
            lease_slots: 8,
        }
    }

    pub(crate) fn config(&self, vfs: &SimVfs) -> Config {
        let directory = PathBuf::from(DIRECTORY);
        let storage = match self.mode {
            Mode::Memory => Storage::Memory,
            Mode::Os | Mode::Fsync => Storage::Disk(directory),
            Mode::Offload => Storage::Offload(directory),
            Mode::OffloadVolatile => Storage::OffloadVolatile(directory),
        };
        let durability = match self.mode {
            Mode::Fsync => Durability::Fsync {
                max_delay: Duration::ZERO,
            },
            _ => Durability::Os,
        };
        Config::new(storage)
            .durability(durability)
            .segment_bytes(self.segment_bytes)
            .resident_bytes(self.resident_bytes)
            .read_bytes(4096)
            .spare_segments(self.spare_segments)
            .lease_slots(self.lease_slots)
            .vfs(Arc::new(vfs.clone()))
    }

    pub(crate) fn open(&self, vfs: &SimVfs) -> Result<(Queue, Recovery), OpenError> {
        Queue::open(self.config(vfs))
    }
}

/// A payload that starts with its serial number; its other bytes follow from that.
pub(crate) fn payload(serial: u64, bytes: usize) -> Bytes {
    let mut content = serial.to_le_bytes().to_vec();
    let filler = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    content.extend(filler.into_iter().cycle().take(bytes.saturating_sub(8)));
    Bytes::from(content)
}

/// The serial number of a payload that [`payload`] made.
pub(crate) fn serial(payload: &[u8]) -> u64 {
    u64::from_le_bytes(*payload.first_chunk().expect("payloads start with a serial"))
}
