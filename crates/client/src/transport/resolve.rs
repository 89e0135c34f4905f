//! The seam between dialling and name resolution.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// The future of one name resolution.
pub type ResolveFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Resolves host names to network addresses.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// Resolves `host` (a name or an IP literal without brackets), in the order in which the
    /// addresses are to be tried, each with `port`. It is called for every attempt to dial.
    ///
    /// The caller sets the deadline and drops the future when it has passed.
    ///
    /// # Errors
    /// The name cannot be resolved. An empty list counts as a name that does not exist.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> ResolveFuture<'a>;
}

/// The operating system's name resolution (`getaddrinfo`), on tokio's blocking threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    #[expect(
        clippy::disallowed_methods,
        reason = "the resolver that the system's names come from"
    )]
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> ResolveFuture<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
