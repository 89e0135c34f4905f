//! What rustls says, for a person who has to do something about it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use crate::error::TlsFailure;

/// What TLS has against a stream, if that is what the error is about.
pub(crate) fn stream_failure(error: &io::Error) -> Option<TlsFailure> {
    let inner = error.get_ref()?.downcast_ref::<Error>()?;
    Some(failure(inner))
}

/// An error of the handshake itself.
pub(super) fn handshake_failure(error: &io::Error) -> TlsFailure {
    if let Some(failure) = stream_failure(error) {
        return failure;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => TlsFailure::ClosedInHandshake,
        _ => TlsFailure::Other(error.to_string()),
    }
}

fn failure(error: &Error) -> TlsFailure {
    match error {
        Error::InvalidCertificate(error) => TlsFailure::Certificate(certificate(error)),
        Error::AlertReceived(alert) => TlsFailure::Alert {
            alert: format!("{alert:?}"),
            advice: advice(*alert),
        },
        Error::InvalidMessage(_) => TlsFailure::NotTls,
        Error::PeerIncompatible(_) => TlsFailure::Incompatible(error.to_string()),
        other => TlsFailure::Other(other.to_string()),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "it is by an authority that is not trusted here; name a file with the authority's certificate".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is for another name ({error})")
        }
        other => other.to_string(),
    }
}

fn advice(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => "the broker wants a client certificate",
        AlertDescription::HandshakeFailure
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            "the broker wants a client certificate, or another one than it got"
        }
        AlertDescription::ProtocolVersion => "the broker wants another version of TLS",
        AlertDescription::UnrecognisedName => "the broker does not go by that name",
        _ => "the broker's log may say more",
    }
}
