//! Ctrl-C, SIGTERM and SIGHUP: a polite first request to stop, and an impatient second one.

use tokio::sync::watch;

/// Tells how often this process was asked to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<u32>);

impl Stop {
    /// Listens from now on; without this a signal would end the process at once. Must be called
    /// within the runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (requests, receiver) = watch::channel(0);
        let mut signals = Signals::listen()?;
        tokio::spawn(async move {
            loop {
                signals.next().await;
                requests.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(receiver))
    }

    /// True if it has been asked for.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits until it is asked for.
    pub(crate) async fn asked(&self) {
        self.asked_times(1).await;
    }

    /// Waits until it is asked for the second time.
    pub(crate) async fn asked_again(&self) {
        self.asked_times(2).await;
    }

    async fn asked_times(&self, times: u32) {
        if self
            .0
            .clone()
            .wait_for(|count| *count >= times)
            .await
            .is_err()
        {
            // The listener has ended with the runtime: nobody will ask any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// The terminal or the session was closed.
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // SIGXFSZ (the same number wherever Rust runs on Unix, but for MIPS) would end the process
        // when a file reaches `ulimit -f`. With a handler the write fails instead, and is handled
        // like a full disk.
        const FILE_SIZE_LIMIT: i32 = 25;
        let _handled_for_good = signal(SignalKind::from_raw(FILE_SIZE_LIMIT));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
