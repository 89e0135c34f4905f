//! Asks a broker for its versions and its topics, over a plain socket: `cargo run --example
//! ask_a_broker -- HOST:PORT`.
#![allow(clippy::disallowed_methods, reason = "examples run in the real world")]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::BytesMut;
use wolff_codec::messages::{ApiVersionsRequest, MetadataRequest};
use wolff_codec::{
    ApiKey, CorrelationId, FrameSplitter, Request, Str, VersionRanges, decode_response,
    encode_request,
};

/// The ceiling of a response.
const MAX_FRAME_BYTES: usize = 64 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let mut stream = TcpStream::connect(address.ok_or("usage: ask_a_broker HOST:PORT")?)?;

    let request = ApiVersionsRequest {
        client_software_name: Str::from_static("ask-a-broker"),
        client_software_version: Str::from_static("1.0"),
        ..Default::default()
    };
    let versions = ask(&mut stream, &request, 3)?;
    for api in &versions.api_keys {
        println!(
            "{}: {} to {}",
            api.api_key, api.min_version, api.max_version
        );
    }

    let ranges = VersionRanges::from(&versions);
    let everything = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let version = ranges.pick::<MetadataRequest>()?;
    println!("\n{} {version} it is", ApiKey::METADATA);
    let metadata = ask(&mut stream, &everything, version)?;
    for broker in &metadata.brokers {
        println!(
            "broker {} at {}:{}",
            broker.node_id, broker.host, broker.port
        );
    }
    for topic in &metadata.topics {
        let name = topic.name.as_deref().unwrap_or("?");
        println!("topic {name}: {} partitions", topic.partitions.len());
    }
    Ok(())
}

/// Sends one request and waits for its response.
fn ask<R: Request>(
    stream: &mut TcpStream,
    request: &R,
    version: i16,
) -> Result<R::Response, Box<dyn Error>> {
    for piece in encode_request(request, version, CorrelationId(1), Some("ask-a-broker"))? {
        stream.write_all(&piece)?;
    }
    let splitter = FrameSplitter::new(MAX_FRAME_BYTES);
    let mut received = BytesMut::new();
    let mut piece = [0; 16 * 1024];
    loop {
        if let Some(frame) = splitter.next_frame(&mut received)? {
            let (_, response) = decode_response(&frame, version)?;
            return Ok(response);
        }
        match stream.read(&mut piece)? {
            0 => return Err("the broker closed the connection".into()),
            count => received.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
}
