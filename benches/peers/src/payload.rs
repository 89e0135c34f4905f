//! Keys and values to produce: made once, cycled through, alike for every contender.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::job::KEY_BYTES;

/// Number of different records.
const VARIETY: usize = 4096;

/// A key and a value.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// Records with keys of 16 bytes and values that look like what devices report, cut to
/// `value_bytes`.
pub(crate) fn payloads(value_bytes: usize) -> Vec<Payload> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    (0..VARIETY)
        .map(|number| {
            let mut value = String::with_capacity(value_bytes.saturating_add(128));
            while value.len() < value_bytes {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let _ = write!(
                    value,
                    r#"{{"device":"dev-{:05}","seq":{},"temperature":{}.{:02},"state":"{}"}},"#,
                    random % 50_000,
                    random >> 40,
                    random % 80,
                    random % 97,
                    if random & 1 == 0 { "running" } else { "idle" },
                );
            }
            value.truncate(value_bytes);
            Payload {
                key: Bytes::from(format!("{number:0KEY_BYTES$}")),
                value: Bytes::from(value),
            }
        })
        .collect()
}
