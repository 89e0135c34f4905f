//! The client as its users see it.

mod admin;

mod handle;

mod builder;
mod events;

pub use self::admin::NewTopic;
pub use self::builder::ClientBuilder;
pub use self::events::TopicEvents;
pub use self::handle::Client;
