//! The limit of open files: a queue on disk takes a few per partition, and each connection one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, which any process may do. Where it cannot be raised, what
/// needs more descriptors than there are fails with an error that names the limit.
pub(crate) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
