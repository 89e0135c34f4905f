//! From the client's answers to the machine's events.

use std::sync::Arc;

use wolff_client::{Address, Client, ProduceAnswer};
use wolff_codec::{ErrorCode, Offset, PartitionId, Str};
use wolff_core::{Answer, BrokerWords};

/// Converts a broker's response into the machine's input. Notifies the client of a leader that the
/// broker names (KIP-951).
pub(super) fn answer(
    answer: &ProduceAnswer,
    client: &Client,
    topic: &str,
    partition: PartitionId,
) -> Answer {
    let names_leader = use_leader_hint(answer, client, topic, partition);
    let answer = &answer.partition;
    // From here they go to outcomes, statistics and logs: nobody needs to look after them there.
    let words = |text: &Option<Box<Str>>| {
        let text = text.as_ref()?;
        Some(Arc::from(BrokerWords(text).to_string()))
    };
    let record_errors = answer.record_errors.iter().filter_map(|error| {
        let record = u32::try_from(error.batch_index).ok()?;
        Some((record, words(&error.batch_index_error_message)))
    });
    Answer {
        code: answer.error_code,
        base_offset: (answer.base_offset.0 >= 0).then_some(Offset(answer.base_offset.0)),
        log_start: (answer.log_start_offset.0 >= 0).then_some(answer.log_start_offset),
        message: words(&answer.error_message),
        record_errors: record_errors.collect(),
        names_leader,
    }
}

/// An answer without a code: the bytes were handed to the socket, and that is all there is.
pub(super) fn handed_over() -> Answer {
    Answer {
        code: ErrorCode::NONE,
        ..Answer::default()
    }
}

fn use_leader_hint(
    answer: &ProduceAnswer,
    client: &Client,
    topic: &str,
    partition: PartitionId,
) -> bool {
    let hint = &answer.partition.current_leader;
    if hint.leader_id.0 < 0 {
        return false;
    }
    let endpoint = answer
        .node_endpoints
        .iter()
        .find(|node| node.node_id == hint.leader_id);
    let address = endpoint.and_then(|node| {
        let port = u16::try_from(node.port).ok()?;
        Some(Address::new(node.host.as_str(), port))
    });
    client.update_leader(topic, partition, hint.leader_id, hint.leader_epoch, address)
}
