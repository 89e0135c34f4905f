//! AWS Signature Version 4 of the request that AWS_MSK_IAM signs, as a message in JSON.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wolff_client::Secret;

/// The service's name in signatures.
const SERVICE: &str = "kafka-cluster";

/// Validity of a signature, in seconds.
const LIFETIME_SECONDS: &str = "900";

/// The keys of an AWS identity.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    /// Of temporary keys.
    pub(crate) session_token: Option<String>,
}

/// The first message of an exchange with the broker `host`; `time` is UTC as `20240131T235959Z`.
pub(crate) fn message(keys: &Keys, region: &str, host: &str, time: &str) -> Secret {
    let date = time.get(..8).unwrap_or_default();
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let credential = format!("{}/{scope}", keys.access_key_id);
    let mut fields = vec![
        ("action", "kafka-cluster:Connect".to_owned()),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("x-amz-credential", credential),
        ("x-amz-date", time.to_owned()),
        ("x-amz-expires", LIFETIME_SECONDS.to_owned()),
        ("x-amz-signedheaders", "host".to_owned()),
    ];
    if let Some(token) = &keys.session_token {
        fields.push(("x-amz-security-token", token.clone()));
    }
    let signature = {
        let mut query: Vec<_> = (fields.iter())
            .map(|(name, value)| (canonical_name(name), escape(value)))
            .collect();
        query.sort();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let empty = hex(&Sha256::digest([]));
        let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{empty}", query.join("&"));
        let digest = hex(&Sha256::digest(request));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let key = signing_key(keys.secret_access_key.expose(), date, region, SERVICE);
        hex(&hmac(&key, text.as_bytes()))
    };
    let mut json = format!(
        "{{\"version\":\"2020_10_22\",\"host\":{},\"user-agent\":\"wolff\"",
        quoted(host)
    );
    fields.push(("x-amz-signature", signature));
    for (name, value) in &fields {
        json.push_str(&format!(",{}:{}", quoted(name), quoted(value)));
    }
    json.push('}');
    json.into()
}

/// In the signed request, what begins with `x-amz` is written as in query strings.
fn canonical_name(name: &str) -> String {
    match name {
        "action" => "Action".into(),
        "x-amz-algorithm" => "X-Amz-Algorithm".into(),
        "x-amz-credential" => "X-Amz-Credential".into(),
        "x-amz-date" => "X-Amz-Date".into(),
        "x-amz-expires" => "X-Amz-Expires".into(),
        "x-amz-signedheaders" => "X-Amz-SignedHeaders".into(),
        _ => "X-Amz-Security-Token".into(),
    }
}

/// The key that is good for one day, region and service.
fn signing_key(secret: &[u8], date: &str, region: &str, service: &str) -> Vec<u8> {
    let mut key = [b"AWS4", secret].concat();
    for part in [date, region, service, "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    key
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

/// Percent-encoding as signatures prescribe it (RFC 3986, unreserved characters stay).
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _never_fails = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

/// A string in JSON: keys, hosts and dates have nothing but quotes and backslashes to escape.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that AWS publishes for the derivation of signing keys.
    #[test]
    fn a_signing_key_is_derived_as_aws_shows_it() {
        let key = signing_key(
            b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "20120215",
            "us-east-1",
            "iam",
        );
        let expected = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d";
        assert_eq!(hex(&key), expected);
    }

    #[test]
    fn what_is_signed_is_escaped_but_for_unreserved_characters() {
        assert_eq!(escape("a/b c-_.~"), "a%2Fb%20c-_.~");
    }
}
