//! Other queues of the language.

use std::path::Path;

use futures_util::FutureExt as _;

use crate::payloads::Payloads;
use crate::race::{Lap, Stopwatch};

/// yaque: a sender and a receiver on a directory. It gives the same level: a batch is with the
/// kernel when it returns, in two writes of a buffer's size here. It writes four bytes before each
/// item, and neither an id nor a checksum.
pub(crate) struct Yaque {
    sender: yaque::Sender,
    receiver: yaque::Receiver,
    waiting: usize,
}

impl Yaque {
    pub(crate) fn open(directory: &Path) -> Self {
        let (sender, receiver) = yaque::channel(directory).expect("a new queue");
        Self {
            sender,
            receiver,
            waiting: 0,
        }
    }

    pub(crate) fn append(&mut self, payloads: &Payloads, groups: usize) -> Lap {
        let watch = Stopwatch::start();
        for group in payloads.groups().take(groups) {
            self.sender
                .try_send_batch(group)
                .expect("room without limit");
        }
        let time = watch.stop();
        self.waiting += groups * payloads.group();
        time
    }

    pub(crate) fn drain(&mut self) -> Lap {
        let watch = Stopwatch::start();
        while self.waiting > 0 {
            let count = self.waiting.min(1000);
            let batch = self
                .receiver
                .recv_batch(count)
                .now_or_never()
                .expect("all is there")
                .expect("a read");
            self.waiting -= batch.len();
            batch.commit().expect("a commit");
        }
        watch.stop()
    }
}

/// queue-file: one file, here without a sync per write.
pub(crate) struct QueueFile {
    queue: queue_file::QueueFile,
}

impl QueueFile {
    pub(crate) fn open(path: &Path) -> Self {
        let mut queue = queue_file::QueueFile::with_capacity(path, 128 << 20).expect("a new queue");
        queue.set_sync_writes(false);
        queue.set_overwrite_on_remove(false);
        Self { queue }
    }

    pub(crate) fn append(&mut self, payloads: &Payloads, groups: usize) -> Lap {
        let watch = Stopwatch::start();
        for group in payloads.groups().take(groups) {
            self.queue.add_n(group).expect("room");
        }
        watch.stop()
    }

    pub(crate) fn drain(&mut self) -> Lap {
        let watch = Stopwatch::start();
        while !self.queue.is_empty() {
            let count = self.queue.iter().take(1000).fold(0, |count, item| {
                std::hint::black_box(item);
                count + 1
            });
            self.queue.remove_n(count).expect("a removal");
        }
        watch.stop()
    }
}
