//! The client as its users see it.

mod configs;
mod deletion;
mod fetch;
mod offsets;

mod admin;
mod routing;

mod concurrent;

mod handle;

mod builder;
mod events;

pub use self::admin::NewTopic;
pub use self::builder::ClientBuilder;
pub use self::configs::{ConfigEntry, ConfigResource, ConfigSource};
pub use self::events::TopicEvents;
pub use self::fetch::{FetchOptions, FetchedPartition};
pub use self::handle::Client;
pub use self::offsets::{ListedOffset, OffsetSpec};
