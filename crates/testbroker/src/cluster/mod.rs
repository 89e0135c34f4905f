//! The cluster as its owner sees it: started, watched, and made to fail.

mod builder;
mod control;
mod inspect;

mod lifecycle;

pub use self::builder::ClusterBuilder;
pub use self::lifecycle::Cluster;
