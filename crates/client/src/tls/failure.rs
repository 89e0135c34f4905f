//! Errors of rustls, for a person who has to do something about them.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use crate::error::TlsFailure;

/// The failure of TLS that an error of a stream stands for, if it does.
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
        CertificateError::Expired => "it has expired".into(),
        CertificateError::ExpiredContext { time, not_after } => {
            let (now, end) = (date(time.as_secs()), date(not_after.as_secs()));
            format!("it has expired on {end}; here it is {now}")
        }
        CertificateError::NotValidYet => "it is not valid yet".into(),
        CertificateError::NotValidYetContext { time, not_before } => {
            let (now, start) = (date(time.as_secs()), date(not_before.as_secs()));
            format!("it is not valid before {start}; here it is {now}: is the clock right?")
        }
        CertificateError::Revoked => "it has been revoked".into(),
        other => match format!("{other:?}") {
            reason if reason.contains("CaUsedAsEndEntity") => {
                "it is an authority's own (CA:TRUE), and not among those that are trusted here; name a file that holds exactly this certificate, or give the broker one of its own".into()
            }
            reason if reason.contains("UnsupportedCertVersion") => {
                "it is of X.509 version 1, which names no server; give the broker one of version 3".into()
            }
            _ => other.to_string(),
        },
    }
}

/// Seconds since 1970 as date and time in UTC (Howard Hinnant's `civil_from_days`).
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (rest / 3_600, rest / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_people_read_them() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_700_000_000, "2023-11-14 22:13 UTC"),
            (4_102_444_799, "2099-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
