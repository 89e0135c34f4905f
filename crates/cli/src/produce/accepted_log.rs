//! The file that says how many records are on disk for sure.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use wolff::Producer;

use super::counts::NotStored;
use super::feed::Taken;
use crate::console;
use crate::exit::Failure;

/// The shortest time between two lines, so that the log costs next to nothing.
const PAUSE: Duration = Duration::from_millis(5);

/// Opens the file to append to it.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| {
        Failure::usage(format!(
            "cannot write the --accepted-log {}: {error}",
            path.display()
        ))
    })
}

/// Writes the log, in a thread of its own.
pub(super) struct AcceptedLog {
    finish: oneshot::Sender<()>,
    finished: oneshot::Receiver<()>,
}

impl AcceptedLog {
    pub(super) fn start(file: File, producer: Producer, taken: Arc<Taken>) -> Self {
        let (finish, asked_to_finish) = oneshot::channel();
        let (tell_finished, finished) = oneshot::channel();
        let runtime = Handle::current();
        // File I/O does not belong on the runtime's own threads.
        std::thread::spawn(move || {
            runtime.block_on(write(file, producer, taken, asked_to_finish));
            let _nobody_waits = tell_finished.send(());
        });
        Self { finish, finished }
    }

    /// Writes the last line, when all that was taken is on disk.
    pub(super) async fn finish(self) {
        let _thread_has_ended = self.finish.send(());
        let _thread_has_ended = self.finished.await;
    }
}

async fn write(
    mut file: File,
    producer: Producer,
    taken: Arc<Taken>,
    mut finish: oneshot::Receiver<()>,
) {
    let mut written = 0;
    let mut is_last = false;
    loop {
        // What is taken before `queued` is asked is on disk when it answers.
        let count = taken.records();
        if count > written {
            producer.queued().await;
            if !NotStored::is_nothing(&producer.stats()) {
                // The records that are missing may be among the first ones: what was said so far is
                // all that is sure.
                return;
            }
            // One write, so that a reader never sees half a number.
            if let Err(error) = file.write_all(format!("{count}\n").as_bytes()) {
                console::warn(format_args!(
                    "the --accepted-log cannot be written any more: {error}"
                ));
                return;
            }
            written = count;
        }
        if is_last {
            return;
        }
        is_last = tokio::time::timeout(PAUSE, &mut finish).await.is_ok();
    }
}
