//! What came of a request, as items that can be compared: `status`, `answer.field.NAME`, `answer.body`, `certificate`,
//! and `connection` where there was no answer.

use super::forms;
use crate::cli::migrate::Compared;
use crate::pki::certificate::Certificate;
use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The value of an item that is not there.
pub(super) const ABSENT: &str = "-";

/// Bodies of up to this many bytes are told as they are, if they are text.
const TOLD_BYTES: usize = 120;

/// Longest part of a field that is told, in characters.
const TOLD_FIELD: usize = 300;

/// Bytes of a hash that are told: enough to tell two apart.
const TOLD_HASH: usize = 8;

/// What came of a request.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    Answer(Box<Answer>),
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) failing: Failing,
    pub(super) words: String,
}

impl Failure {
    pub(super) fn new(failing: Failing, words: String) -> Self {
        Self { failing, words }
    }
}

/// The sort of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// Nothing listens there.
    Refused,
    /// Nothing answers there.
    Unreachable,
    /// The other end has closed.
    Closed,
    /// It is connected, and does not answer in time.
    Slow,
    /// A TLS handshake was refused.
    Handshake,
    NotTls,
    NotHttp,
    /// The request is none that can be sent.
    Unsendable,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
    pub(super) body: String,
    certificate: Option<CertificateSeen>,
}

/// The certificate of a handshake.
#[derive(Clone, Debug)]
pub(super) struct CertificateSeen(String);

impl CertificateSeen {
    /// Its names and its fingerprint.
    pub(super) fn of(der: &CertificateDer<'_>) -> Self {
        let names = Certificate::names_of(der);
        let names = if names.is_empty() { "without names".to_owned() } else { names.join(" ") };
        Self(format!("{names}, SHA-256 {}", hex(digest(&SHA256, der).as_ref())))
    }
}

impl Answer {
    /// Reads an answer with up to `most` bytes of its body, of which it waits for the end for `limit` at most.
    pub(super) async fn read(
        response: Response<Incoming>,
        most: u64,
        limit: Duration,
        certificate: Option<CertificateSeen>,
    ) -> Self {
        let (head, mut body) = response.into_parts();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let fields = head.headers.iter();
        let fields = fields
            .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
            .collect();
        // Before the end of the whole exchange, whose answer is then kept.
        let end = Instant::now() + limit / 2;
        let mut read = BodyRead::default();
        let ending = loop {
            match timeout_at(end, body.frame()).await {
                Err(_) => break ", and more to come",
                Ok(None) => break "",
                Ok(Some(Err(_))) => break ", broken off",
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !read.add(&data, most)
                    {
                        break " or more";
                    }
                }
            }
        };
        let status = head.status.as_u16();
        Self { status, fields, body: read.told(ending), certificate }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether ravelin has answered itself: such an answer is not to be cached, and says its reason.
    pub(super) fn is_own(&self) -> bool {
        let says = self.body == ABSENT
            || self
                .body
                .split(' ')
                .next()
                .is_some_and(|word| word.parse::<u16>() == Ok(self.status));
        self.field("server") == Some("ravelin")
            && self.field("cache-control") == Some("no-store")
            && says
    }

    /// Whether a proxy of Go was spoken to without TLS at a port that has it.
    pub(super) fn wants_tls(&self) -> bool {
        self.status == 400 && self.body.contains("HTTP request to an HTTPS server")
    }
}

/// What is read of a body.
struct BodyRead {
    bytes: u64,
    hash: Context,
    beginning: Vec<u8>,
}

impl Default for BodyRead {
    fn default() -> Self {
        Self { bytes: 0, hash: Context::new(&SHA256), beginning: Vec::new() }
    }
}

impl BodyRead {
    /// Whether more is read.
    fn add(&mut self, data: &Bytes, most: u64) -> bool {
        let room = usize::try_from(most - self.bytes).unwrap_or(usize::MAX);
        let data = &data[..data.len().min(room)];
        self.bytes += data.len() as u64;
        self.hash.update(data);
        let kept = (TOLD_BYTES + 1).saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(&data[..data.len().min(kept)]);
        self.bytes < most
    }

    fn told(self, ending: &str) -> String {
        let Self { bytes, hash, beginning } = self;
        if bytes == 0 && ending.is_empty() {
            return ABSENT.to_owned();
        }
        let text = std::str::from_utf8(&beginning).ok().map(str::trim_end);
        let is_text =
            |text: &&str| !text.contains(|letter: char| letter.is_control() && letter != '\n');
        if beginning.len() <= TOLD_BYTES
            && ending.is_empty()
            && let Some(text) = text.filter(is_text)
        {
            return text.replace('\n', " ");
        }
        format!("{bytes} bytes{ending}, SHA-256 {}", hex(hash.finish().as_ref()))
    }
}

fn hex(hash: &[u8]) -> String {
    hash.iter().take(TOLD_HASH).map(|byte| format!("{byte:02x}")).collect()
}

impl Seen {
    /// The status as it is told.
    pub(super) fn status(&self) -> String {
        match self {
            Self::Answer(answer) => answer.status.to_string(),
            Self::Failed(_) => ABSENT.to_owned(),
        }
    }

    pub(super) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Failed(_) => None,
        }
    }

    /// All that is compared of it.
    pub(super) fn items(&self, rules: &[Compared]) -> BTreeMap<String, String> {
        let mut items = BTreeMap::new();
        let answer = match self {
            Self::Answer(answer) => answer,
            Self::Failed(failure) => {
                items.insert("connection".to_owned(), failure.words.clone());
                return items;
            }
        };
        items.insert("status".to_owned(), answer.status.to_string());
        items.insert("answer.body".to_owned(), answer.body.clone());
        if let Some(CertificateSeen(text)) = &answer.certificate {
            items.insert("certificate".to_owned(), text.clone());
        }
        let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in &answer.fields {
            values.entry(format!("answer.field.{name}")).or_default().push(value);
        }
        for (item, values) in values {
            if let Some(value) = forms::value(&item, &values, rules) {
                items.insert(item, value.chars().take(TOLD_FIELD).collect());
            }
        }
        items
    }
}
