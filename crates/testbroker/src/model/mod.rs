//! State that the brokers of a cluster agree on: who lives, which topics there are, who leads, and
//! the logs. No sockets, no time.

mod elections;

mod topics;

mod state;

mod partition;

pub(crate) use self::partition::Partition;
pub(crate) use self::state::{Model, Node, Topic};
pub(crate) use self::topics::{TopicSpec, check_name};
