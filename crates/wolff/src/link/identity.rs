//! The answer to a request for a producer id.

use wolff_client::{RequestCause, RequestError};
use wolff_codec::messages::InitProducerIdResponse;
use wolff_codec::{ErrorCode, ProducerEpoch, ProducerId};

/// Why a cluster gave no producer id.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoIdentity {
    /// The broker answered with an error.
    #[error("{0}")]
    Code(ErrorCode),
    /// The broker answered with what is no identity.
    #[error(
        "malformed InitProducerId response: producer id {producer_id}, epoch {epoch}; both must be 0 or more"
    )]
    Malformed {
        producer_id: ProducerId,
        epoch: ProducerEpoch,
    },
    /// There is no answer.
    #[error(transparent)]
    Request(RequestError),
}

impl NoIdentity {
    /// Returns whether the cluster grants none as things are: no permission, or a broker that does
    /// not support the request.
    pub(super) fn is_refused(&self) -> bool {
        match self {
            Self::Code(code) => matches!(
                *code,
                ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                    | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                    | ErrorCode::UNSUPPORTED_VERSION
            ),
            Self::Malformed { .. } => false,
            Self::Request(error) => matches!(error.cause(), RequestCause::Unsupported(_)),
        }
    }
}

/// The identity that was given.
pub(super) fn identity(
    result: Result<InitProducerIdResponse, RequestError>,
) -> Result<(ProducerId, ProducerEpoch), NoIdentity> {
    let response = result.map_err(NoIdentity::Request)?;
    if response.error_code != ErrorCode::NONE {
        return Err(NoIdentity::Code(response.error_code));
    }
    let (producer_id, epoch) = (response.producer_id, response.producer_epoch);
    if producer_id.0 < 0 || epoch.0 < 0 {
        return Err(NoIdentity::Malformed { producer_id, epoch });
    }
    Ok((producer_id, epoch))
}
