//! A cluster of one broker that is told what to say.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use wolff_client::codec::ErrorCode;
use wolff_client::codec::messages::{MetadataResponse, MetadataResponseTopic};
use wolff_client::{Client, ClientBuilder, MetadataError};

use crate::peer::{Listener, Network, Peer, metadata};

/// A cluster of one broker that is told what to say.
pub(crate) struct Single {
    pub(crate) network: Network,
    pub(crate) client: Client,
    pub(crate) listener: Listener,
    pub(crate) peer: Peer,
}

impl Single {
    pub(crate) async fn start(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let network = Network::default();
        let mut listener = network.listen("one");
        let client = configure(network.client("one")).build().unwrap();
        let (connection, peer) = tokio::join!(client.any_connection(), listener.accept_ready());
        connection.unwrap();
        Self {
            network,
            client,
            listener,
            peer,
        }
    }

    /// Lets the client look the topic up while the broker answers.
    pub(crate) async fn lookup(
        &mut self,
        answer: &MetadataResponse,
    ) -> Result<usize, MetadataError> {
        let (outcome, _) = tokio::join!(self.client.topic("t"), self.peer.answer_metadata(answer));
        outcome.map(|topic| topic.partitions.len())
    }
}

pub(crate) fn refused(code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: code,
        name: Some("t".into()),
        ..Default::default()
    }
}

pub(crate) fn one(topics: impl IntoIterator<Item = MetadataResponseTopic>) -> MetadataResponse {
    metadata(&[(1, "one")], topics)
}
