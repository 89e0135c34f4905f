//! Stands between a foreign client and a broker, writes down what they say, and makes the client
//! speak older versions: the broker seems to know nothing newer.
//!
//! Answers that name brokers are decoded and encoded again with the proxy's own address. So the
//! client also reads messages that this crate wrote.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use wolff_codec::messages::{AnyRequest, AnyResponse, ApiVersion, ApiVersionsResponse};
use wolff_codec::wire::Writer;
use wolff_codec::{ApiKey, ErrorCode, Message as _, ResponseHeader, Str, decode_request_header};
use wolff_codec_conformance::golden::{Direction, Message};

use crate::connection::{Failure, Frames, send};

/// A message of either side.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Message>>>);

impl Record {
    pub(crate) fn add(&self, message: Message) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
    }

    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// State of a proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// The broker.
    pub(crate) broker: String,
    /// Sides of a conversation: the client and the broker.
    pub(crate) client_name: String,
    pub(crate) broker_name: String,
    /// By how much the newest version that the client may speak is below the newest that is known
    /// here.
    pub(crate) step_back: i16,
    /// Where it is written down.
    pub(crate) record: Record,
}

/// The APIs and versions of requests that wait for their responses, by correlation id.
type Waiting = Arc<Mutex<HashMap<i32, (ApiKey, i16)>>>;

impl Proxy {
    /// Listens until the process ends; the address.
    pub(crate) fn start(self) -> Result<String, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that fails is the client's business: it sees it closed.
                let _ = self.serve(client, port);
            }
        });
        Ok(format!("127.0.0.1:{port}"))
    }

    fn serve(&self, client: TcpStream, port: u16) -> Result<(), Failure> {
        let broker = TcpStream::connect(&self.broker)?;
        let waiting = Waiting::default();
        let (proxy, requests) = (self.clone(), (client.try_clone()?, broker.try_clone()?));
        let pending = Arc::clone(&waiting);
        thread::spawn(move || {
            let (client, broker) = requests;
            if let Err(failure) = proxy.pass_requests(client, &broker, &pending) {
                eprintln!("proxy: {failure}");
            }
            let _ = broker.shutdown(std::net::Shutdown::Both);
        });
        let proxy = self.clone();
        thread::spawn(move || {
            if let Err(failure) = proxy.pass_responses(&client, broker, &waiting, port) {
                eprintln!("proxy: {failure}");
            }
            let _ = client.shutdown(std::net::Shutdown::Both);
        });
        Ok(())
    }

    fn pass_requests(
        &self,
        mut client: TcpStream,
        broker: &TcpStream,
        waiting: &Waiting,
    ) -> Result<(), Failure> {
        let mut frames = Frames::default();
        let mut broker = broker.try_clone()?;
        while let Ok(Some(frame)) = frames.next(&mut client) {
            let (header, _) = decode_request_header(&frame)?;
            let (api_key, version) = (header.api_key, header.api_version);
            let ceiling = self.newest(ApiKey::API_VERSIONS, i16::MAX);
            if api_key == ApiKey::API_VERSIONS && version > ceiling.unwrap_or_default() {
                let refusal = refusal(header.correlation_id, ceiling.unwrap_or_default())?;
                send(&mut client, &refusal)?;
                continue;
            }
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(header.correlation_id.0, (api_key, version));
            self.note(
                api_key,
                version,
                Direction::Request,
                &self.client_name,
                &frame,
            );
            send(&mut broker, &frame)?;
        }
        Ok(())
    }

    fn pass_responses(
        &self,
        client: &TcpStream,
        mut broker: TcpStream,
        waiting: &Waiting,
        port: u16,
    ) -> Result<(), Failure> {
        let mut frames = Frames::default();
        let mut client = client.try_clone()?;
        while let Ok(Some(frame)) = frames.next(&mut broker) {
            let (header, _) = ResponseHeader::decode(&frame, ApiKey::API_VERSIONS, 0)?;
            let request = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&header.correlation_id.0);
            let Some((api_key, version)) = request else {
                send(&mut client, &frame)?;
                continue;
            };
            self.note(
                api_key,
                version,
                Direction::Response,
                &self.broker_name,
                &frame,
            );
            send(
                &mut client,
                &self.redirected(api_key, version, &frame, port)?,
            )?;
        }
        Ok(())
    }

    fn note(
        &self,
        api_key: ApiKey,
        version: i16,
        direction: Direction,
        writer: &str,
        frame: &Bytes,
    ) {
        let is_known = AnyRequest::versions(api_key).is_some_and(|known| known.contains(&version));
        if is_known {
            self.record.add(Message {
                api_key,
                version,
                direction,
                writer: writer.to_owned(),
                frame: frame.clone(),
            });
        }
    }

    /// The newest version that the client gets to see; none for APIs that are to seem unknown.
    fn newest(&self, api_key: ApiKey, theirs: i16) -> Option<i16> {
        // Newer clients describe topics by it instead of by Metadata: they do so once.
        if api_key == ApiKey::DESCRIBE_TOPIC_PARTITIONS && self.step_back > 0 {
            return None;
        }
        match AnyRequest::versions(api_key) {
            // Version 0 cannot find the coordinator of a transaction: clients would say nothing of
            // theirs.
            Some(ours) if api_key == ApiKey::FIND_COORDINATOR => {
                Some((theirs.min(*ours.end()) - self.step_back).max(1))
            }
            Some(ours) => Some((theirs.min(*ours.end()) - self.step_back).max(*ours.start())),
            None => Some(theirs),
        }
    }

    /// The answer with this proxy in the place of every broker.
    fn redirected(
        &self,
        api_key: ApiKey,
        version: i16,
        frame: &Bytes,
        port: u16,
    ) -> Result<Bytes, Failure> {
        let (header, body) = ResponseHeader::decode(frame, api_key, version)?;
        let is_known = AnyRequest::versions(api_key).is_some_and(|known| known.contains(&version));
        if !is_known {
            return Ok(frame.clone());
        }
        let mut response = AnyResponse::decode(api_key, version, &body)
            .map_err(|error| format!("{api_key} {version}: {error}"))?;
        let here = |host: &mut Str, its_port: &mut i32| {
            *host = Str::from_static("127.0.0.1");
            *its_port = i32::from(port);
        };
        match &mut response {
            AnyResponse::ApiVersions(versions) => versions.api_keys.retain_mut(|api| {
                match self.newest(api.api_key, api.max_version) {
                    Some(newest) => {
                        api.max_version = newest.max(api.min_version);
                        true
                    }
                    None => false,
                }
            }),
            AnyResponse::Metadata(metadata) => metadata
                .brokers
                .iter_mut()
                .for_each(|broker| here(&mut broker.host, &mut broker.port)),
            AnyResponse::DescribeCluster(cluster) => cluster
                .brokers
                .iter_mut()
                .for_each(|broker| here(&mut broker.host, &mut broker.port)),
            AnyResponse::FindCoordinator(found) => {
                if version < 4 && found.error_code.is_ok() {
                    here(&mut found.host, &mut found.port);
                }
                found
                    .coordinators
                    .iter_mut()
                    .filter(|coordinator| coordinator.error_code.is_ok())
                    .for_each(|coordinator| here(&mut coordinator.host, &mut coordinator.port));
            }
            AnyResponse::Fetch(fetched) => fetched
                .node_endpoints
                .iter_mut()
                .for_each(|node| here(&mut node.host, &mut node.port)),
            AnyResponse::Produce(produced) => produced
                .node_endpoints
                .iter_mut()
                .for_each(|node| here(&mut node.host, &mut node.port)),
            _ => {}
        }
        let mut out = Writer::new();
        header.encode(api_key, version, &mut out)?;
        response.encode(version, &mut out)?;
        Ok(out.finish().to_bytes())
    }
}

/// Response of a broker that does not support the client's version of ApiVersions.
fn refusal(correlation_id: wolff_codec::CorrelationId, newest: i16) -> Result<Bytes, Failure> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![ApiVersion {
            api_key: ApiKey::API_VERSIONS,
            min_version: 0,
            max_version: newest,
            ..ApiVersion::default()
        }],
        ..ApiVersionsResponse::default()
    };
    let header = ResponseHeader {
        correlation_id,
        ..ResponseHeader::default()
    };
    let mut out = Writer::new();
    header.encode(ApiKey::API_VERSIONS, 0, &mut out)?;
    response.encode(0, &mut out)?;
    Ok(out.finish().to_bytes())
}
