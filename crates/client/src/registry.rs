//! Clients by name: started once, found by everybody, stopped and forgotten.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use thiserror::Error;

use crate::client::{Client, ClientBuilder};
use crate::error::ConfigError;

/// Clients by name.
///
/// A registry keeps what it has started alive until that is stopped by name; clones are the same
/// registry. [`Registry::global`] is there for programs whose parts share nothing else.
///
/// ```
/// use wolff_client::{Client, Registry};
///
/// let registry = Registry::new();
/// let client = registry.ensure("orders", || Client::builder(["localhost:9092"]))?;
/// assert_eq!(client.bootstrap(), registry.find("orders").unwrap().bootstrap());
/// # Ok::<(), wolff_client::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    clients: Arc<Mutex<BTreeMap<String, Client>>>,
}

impl Registry {
    /// A registry with nobody in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of the process.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Registry> = OnceLock::new();
        GLOBAL.get_or_init(Self::default)
    }

    /// Makes a client and gives it a name that nobody has.
    ///
    /// # Errors
    /// [`StartError::Taken`] when somebody has; the client of that name stays.
    pub fn start(&self, name: &str, builder: ClientBuilder) -> Result<Client, StartError> {
        let mut clients = self.clients.lock();
        if clients.contains_key(name) {
            return Err(StartError::Taken(name.to_owned()));
        }
        let client = builder.build().map_err(StartError::Config)?;
        clients.insert(name.to_owned(), client.clone());
        Ok(client)
    }

    /// The client of that name; made first where there is none. Asked again, it gives the same one,
    /// whatever `builder` would say by then.
    ///
    /// # Errors
    /// [`ConfigError`] when the client cannot be made.
    pub fn ensure(
        &self,
        name: &str,
        builder: impl FnOnce() -> ClientBuilder,
    ) -> Result<Client, ConfigError> {
        // Made under the lock, so that of many who ask at the same time all get the same one.
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(name) {
            return Ok(client.clone());
        }
        let client = builder().build()?;
        clients.insert(name.to_owned(), client.clone());
        Ok(client)
    }

    /// The client of that name.
    pub fn find(&self, name: &str) -> Option<Client> {
        self.clients.lock().get(name).cloned()
    }

    /// The names that are taken, in order.
    pub fn names(&self) -> Vec<String> {
        self.clients.lock().keys().cloned().collect()
    }

    /// Closes the client of that name, for everybody who holds it, and forgets it. Gives whether
    /// there was one; if not, nothing is done.
    pub async fn stop_and_delete(&self, name: &str) -> bool {
        let client = self.clients.lock().remove(name);
        match client {
            Some(client) => {
                client.close().await;
                true
            }
            None => false,
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.names()).finish()
    }
}

/// Why a client was not started under a name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum StartError {
    /// The name is taken.
    #[error("there is a client of the name {0:?} already")]
    Taken(String),
    /// The client cannot be made.
    #[error(transparent)]
    Config(ConfigError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> ClientBuilder {
        Client::builder(["no-such-host.invalid"])
    }

    #[tokio::test]
    async fn a_name_is_taken_once_and_free_after_the_stop() {
        let registry = Registry::new();
        assert!(registry.find("a").is_none());
        registry.start("a", builder()).unwrap();
        let taken = registry.start("a", builder()).unwrap_err();
        assert_eq!(taken, StartError::Taken("a".into()));
        assert_eq!(registry.names(), ["a"]);

        let held = registry.find("a").unwrap();
        assert!(registry.stop_and_delete("a").await);
        assert!(
            !registry.stop_and_delete("a").await,
            "nothing is done twice"
        );
        assert!(held.any_connection().await.is_err(), "closed for everybody");
        registry.start("a", builder()).unwrap();
    }

    #[tokio::test]
    async fn ensure_makes_one_client_however_often_it_is_asked() {
        let registry = Registry::new();
        let first = registry.ensure("a", builder).unwrap();
        let never = || panic!("there is one already");
        let second = registry.clone().ensure("a", never).unwrap();
        registry.stop_and_delete("a").await;
        for client in [first, second] {
            let closed = client.topic("t").await.unwrap_err();
            assert_eq!(closed, crate::MetadataError::ClientClosed);
        }
    }

    #[test]
    fn a_client_that_cannot_be_made_takes_no_name() {
        let registry = Registry::new();
        let nobody = || Client::builder([""]);
        assert_eq!(
            registry.start("a", nobody()).unwrap_err(),
            StartError::Config(ConfigError::NoEndpoints)
        );
        assert!(registry.ensure("a", nobody).is_err());
        assert!(registry.names().is_empty());
    }

    #[test]
    fn the_process_has_one_registry_of_its_own() {
        let global: *const Registry = Registry::global();
        assert_eq!(global, std::ptr::from_ref(Registry::global()));
    }
}
