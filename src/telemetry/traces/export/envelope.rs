//! An `ExportTraceServiceRequest`: the spans of a batch, and of what process they are.

use super::super::otlp::{Message, sized};
use super::super::queue::Spans;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// The semantic conventions that the attributes are of.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.40.0";

/// Who made the spans.
const SCOPE: &str = "ravelin";

/// Bytes of a value of a resource attribute: the bound of its configuration.
const VALUE_BYTES: usize = 1024;

// Fields of ExportTraceServiceRequest, ResourceSpans and ScopeSpans.
const RESOURCE_SPANS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCHEMA_URL: u32 = 3;

/// What is around the spans of a batch.
#[derive(Debug)]
pub(super) struct Envelope {
    /// `ResourceSpans.resource`.
    resource: Vec<u8>,
    /// `ScopeSpans.scope`.
    scope: Vec<u8>,
}

impl Envelope {
    /// Of a process with these attributes.
    pub(super) fn new<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut inner, mut resource, mut scope) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in attributes {
            Message(&mut inner).text(1, key, value.as_bytes(), VALUE_BYTES);
        }
        Message(&mut resource).bytes(RESOURCE, &inner);
        inner.clear();
        Message(&mut inner).bytes(1, SCOPE.as_bytes());
        Message(&mut inner).bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
        Message(&mut scope).bytes(1, &inner);
        Self { resource, scope }
    }

    /// The message around these spans, behind `room` bytes of zeros.
    pub(super) fn seal(&self, spans: &[Spans], room: usize) -> Vec<u8> {
        let all: usize = spans.iter().map(|spans| spans.bytes.len()).sum();
        let of_scope = self.scope.len() + all + sized(SCHEMA.len());
        let of_resource = self.resource.len() + sized(of_scope);
        let mut bytes = Vec::with_capacity(room + sized(of_resource));
        bytes.resize(room, 0);
        let mut message = Message(&mut bytes);
        message.open(RESOURCE_SPANS, of_resource);
        message.0.extend_from_slice(&self.resource);
        message.open(SCOPE_SPANS, of_scope);
        message.0.extend_from_slice(&self.scope);
        spans.iter().for_each(|spans| message.0.extend_from_slice(&spans.bytes));
        message.bytes(SCHEMA_URL, SCHEMA.as_bytes());
        bytes
    }
}

/// Compresses a message.
pub(super) fn gzip(message: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
    encoder.write_all(message)?;
    encoder.finish()
}

/// A message of gRPC: whether it is compressed, its length, and itself (gRPC over HTTP2, "Length-Prefixed-Message").
/// `message` begins with [`PREFIX`] bytes for the first two.
pub(super) fn framed(mut message: Vec<u8>, is_compressed: bool) -> Bytes {
    let length = u32::try_from(message.len().saturating_sub(PREFIX)).unwrap_or(u32::MAX);
    if let Some((compressed, rest)) = message.split_first_mut() {
        *compressed = u8::from(is_compressed);
        if let Some(place) = rest.get_mut(..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
    message.into()
}

/// Bytes in front of a message of gRPC.
pub(super) const PREFIX: usize = 5;
