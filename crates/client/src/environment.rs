//! The seams between a client and the world around it: dialling, name resolution, randomness.
//!
//! The clock is tokio's: every decision about time reads `tokio::time`, so that a runtime whose
//! clock is paused drives a whole client. Not here: nonces and keys, which always come from the
//! operating system.

use std::sync::Arc;

use wolff_backoff::Random;

use crate::config::SocketOptions;
use crate::transport::{Dial, Resolve, SystemResolver, TcpDialer};

/// Everything that a client uses of the world around it. The default is the real one: TCP, the
/// system's name resolution, and a seed that differs in every process.
///
/// With a dialer of streams in memory, a seed, and tokio's clock paused on a current-thread
/// runtime, a client does the same in every run:
///
/// ```
/// use std::io;
/// use wolff_client::{Address, BoxStream, Client, Dial, DialFuture, Environment, HostReason};
///
/// /// A network without brokers.
/// #[derive(Debug)]
/// struct Nobody;
///
/// impl Dial for Nobody {
///     fn dial<'a>(&'a self, _address: &'a Address) -> DialFuture<'a> {
///         Box::pin(async { Err::<BoxStream, _>(HostReason::Refused) })
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let environment = Environment::default().dialer(Nobody).seed(42);
/// let client = Client::builder(["broker:9092"]).environment(environment).build()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let errors = runtime.block_on(client.check_connectivity()).unwrap_err();
/// assert_eq!(errors[0].reason, HostReason::Refused);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Environment {
    dialer: Option<Arc<dyn Dial>>,
    resolver: Arc<dyn Resolve>,
    seed: Option<u64>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            dialer: None,
            resolver: Arc::new(SystemResolver),
            seed: None,
        }
    }
}

impl Environment {
    /// Opens streams with `dialer` instead of TCP. [`ClientConfig::socket`] and
    /// [`Environment::resolver`] then have no effect.
    ///
    /// [`ClientConfig::socket`]: crate::ClientConfig::socket
    pub fn dialer(mut self, dialer: impl Dial) -> Self {
        self.dialer = Some(Arc::new(dialer));
        self
    }

    /// Resolves host names with `resolver` before dialling by TCP. Default: [`SystemResolver`].
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Draws all random numbers (jitter, the order in which brokers are tried, the time of
    /// re-authentication) from this seed. Default: a seed that differs in every process.
    ///
    /// Nonces of SASL and TLS never come from it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The dialer that was set, or TCP with these options.
    pub(crate) fn make_dialer(&self, options: &SocketOptions) -> Arc<dyn Dial> {
        self.dialer.clone().unwrap_or_else(|| {
            let resolver = Arc::clone(&self.resolver);
            Arc::new(TcpDialer::new(options.clone()).with_resolver(resolver))
        })
    }

    /// The source of all random numbers of one client.
    pub(crate) fn make_random(&self) -> Random {
        self.seed
            .map_or_else(Random::from_process, Random::from_seed)
    }
}
