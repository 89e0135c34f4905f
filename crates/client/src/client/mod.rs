//! The client as its users see it.

mod admin;

mod handle;

mod builder;

pub use self::admin::NewTopic;
pub use self::builder::ClientBuilder;
pub use self::handle::Client;
