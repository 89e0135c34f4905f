//! Keys, headers and all that a record can have.

use wolff::client::codec::records::Header;
use wolff::{PartitionId, Str};

use crate::support::{TOPIC, cluster, produce, records, run, values};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_split_off_and_keep_their_partition() {
    let cluster = cluster(6).await;
    let input = "user-1→a\nuser-2→b\nuser-1→c\nno key\n→empty key\nuser-1→d→e\n";
    run(
        produce(&cluster.bootstrap()).args(["--key-delimiter", "→"]),
        input,
    )
    .code(0);
    let all: Vec<_> = (0..6)
        .flat_map(|partition| records(&cluster, partition))
        .collect();
    let of_key = |key: Option<&str>| -> Vec<&[u8]> {
        let fits = all
            .iter()
            .filter(|record| record.key.as_deref() == key.map(str::as_bytes));
        fits.map(|record| record.value.as_deref().unwrap())
            .collect()
    };
    assert_eq!(
        of_key(Some("user-1")),
        [&b"a"[..], b"c", "d→e".as_bytes()],
        "one partition, in order"
    );
    assert_eq!(of_key(Some("user-2")), [b"b"]);
    assert_eq!(of_key(Some("")), [&b"empty key"[..]]);
    assert_eq!(of_key(None), [&b"no key"[..]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_where_java_clients_put_them() {
    let cluster = cluster(6).await;
    run(
        produce(&cluster.bootstrap()).args(["--key-delimiter", r"\t"]),
        "customer-17\tx\n",
    )
    .code(0);
    // kafka.utils.murmur2("customer-17") = …, positive, modulo 6.
    assert_eq!(values(&cluster, 4), [b"x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_bring_every_field() {
    let cluster = cluster(3).await;
    let input = r#"{"key":"k","value":"v","headers":{"a":"1","b":null,"a":{"base64":"AP8="}},"partition":2,"timestamp":1700000000123}

{"partition":2}
  {"key":"","value":"","headers":[],"partition":2}
{"key":{"base64":"AAE="},"value":null,"partition":2}
"#;
    run(
        produce(&cluster.bootstrap()).args(["--format", "jsonl"]),
        input,
    )
    .code(0);
    let records = records(&cluster, 2);
    assert_eq!(records.len(), 4);
    let null = Header {
        key: Str::from("b"),
        value: None,
    };
    assert_eq!(records[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(records[0].value.as_deref(), Some(&b"v"[..]));
    assert_eq!(
        records[0].headers,
        [Header::new("a", "1"), null, Header::new("a", &[0, 255][..])]
    );
    assert_eq!(records[0].timestamp_ms, 1_700_000_000_123);
    assert_eq!(
        (records[1].key.as_deref(), records[1].value.as_deref()),
        (None, None)
    );
    assert!(
        records[1].timestamp_ms > 1_700_000_000_123,
        "the time of sending"
    );
    assert_eq!(
        (records[2].key.as_deref(), records[2].value.as_deref()),
        (Some(&b""[..]), Some(&b""[..]))
    );
    assert_eq!(
        (records[3].key.as_deref(), records[3].value.as_deref()),
        (Some(&b"\0\x01"[..]), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_key_chooses_the_partition_as_any_key() {
    let cluster = cluster(6).await;
    run(
        produce(&cluster.bootstrap()).args(["--format", "jsonl"]),
        r#"{"key":"customer-17"}"#,
    )
    .code(0);
    assert_eq!(cluster.high_watermark(TOPIC, PartitionId(4)).unwrap().0, 1);
}
