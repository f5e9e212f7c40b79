//! One GET of a list: over verified TLS, or, where that is configured, without TLS.
//!
//! Everything has a deadline or a bound, nothing is followed (redirects, proxies), and dropping the
//! future ends it: no task is left behind. The answer is bytes; `answer` says what they mean.

use super::answer::MOST_BYTES;
use super::connect::client_config;
use super::failure::Failure;
use crate::net::outbound::{
    ByteStream, HEAD_BYTES, OutboundError, Server, USER_AGENT, of_hyper, said,
};
use crate::telemetry::ListFailure;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longest `ETag` that is repeated to the server; usual ones have less than 80 bytes.
const MOST_ETAG: usize = 256;

/// How long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct FetchDeadlines {
    /// For the connection to one address, with the TLS handshake.
    pub connect: Duration,
    /// Limit for everything, from the DNS lookup to the last byte.
    pub whole: Duration,
}

impl Default for FetchDeadlines {
    /// 10 s for a connection: three lost SYNs cost 7 s. 30 s for everything, so that a second and
    /// a third address get their turn.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), whole: Duration::from_secs(30) }
    }
}

/// The request for the list and its server.
#[derive(Clone, Debug)]
pub struct Origin {
    server: Server,
    /// Path and query.
    target: String,
    /// The only CAs to trust; the public CAs if absent. Read for each attempt.
    ca_file: Option<PathBuf>,
    /// The key that names the file, for messages.
    ca_key: &'static str,
    /// A field of its own, such as a key; `Debug` does not show a sensitive value.
    field: Option<(&'static str, HeaderValue)>,
    /// The most bytes of a body.
    most: usize,
}

/// A whole answer: 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The body.
    pub body: Vec<u8>,
    /// `ETag`, if there is a usable one.
    pub etag: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// 429, with the time to wait, if the server names one in seconds (`Retry-After`, RFC 9110
    /// section 10.2.3).
    #[error("the status is 429: too many requests")]
    Limited(Option<Duration>),
    /// Neither 200, nor a 304 that was asked for.
    #[error("the status is {0}{hint}", hint = redirect_hint(*.0))]
    Status(StatusCode),
    /// No connection, or no whole response that can be used in time; and what went wrong.
    #[error("{1}")]
    Failed(ListFailure, String),
}

fn redirect_hint(status: StatusCode) -> &'static str {
    if status.is_redirection() { "; redirects are not followed: use the final URL" } else { "" }
}

impl FetchError {
    /// The reason in metrics.
    pub fn why(&self) -> ListFailure {
        match self {
            Self::Limited(_) | Self::Status(_) => ListFailure::Status,
            Self::Failed(why, _) => *why,
        }
    }

    pub(super) fn timeout(what: &str, limit: Duration) -> Self {
        Self::Failed(ListFailure::Timeout, format!("{what} took longer than {limit:?}"))
    }
}

impl From<OutboundError> for FetchError {
    fn from(error: OutboundError) -> Self {
        let why = match error {
            OutboundError::Resolve { .. } => ListFailure::Resolve,
            OutboundError::Connect { .. } => ListFailure::Connect,
            OutboundError::Tls { .. } => ListFailure::Tls,
            OutboundError::Timeout(_) => ListFailure::Timeout,
        };
        Self::Failed(why, error.to_string())
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::new(error.why(), error.to_string())
    }
}

impl Origin {
    /// Prepares requests to `url`, an `https` one; `jdcloud` requests the China Network's addresses too.
    /// User information in the URL is dropped, so that no credentials can leak.
    pub fn new(url: &Uri, jdcloud: bool, ca_file: Option<PathBuf>) -> Self {
        let mut target = url.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        if jdcloud {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str("networks=jdcloud");
        }
        Self::at(url, target, ca_file, "cloudflare.ca_file")
    }

    /// Prepares requests for a target to the server of `url`. `ca_key` is where `ca_file` is configured.
    pub fn at(url: &Uri, target: String, ca_file: Option<PathBuf>, ca_key: &'static str) -> Self {
        let server = Server::of(url);
        Self { server, target, ca_file, ca_key, field: None, most: MOST_BYTES }
    }

    /// The same for bodies of so many bytes.
    #[must_use]
    pub fn up_to(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The same with a field of its own, whose value is a secret.
    #[must_use]
    pub fn with_secret(self, name: &'static str, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        Self { field: Some((name, value)), ..self }
    }

    /// Identifies the source: `https://host:port/path?query`, without user information.
    pub fn identity(&self) -> String {
        format!("https://{}{}", self.server.authority(), self.target)
    }

    /// Sends the request, and returns the body.
    ///
    /// # Errors
    /// Whatever is not a whole answer in time.
    pub async fn get(&self) -> Result<Vec<u8>, FetchError> {
        let fetched = self.get_if_changed(None, FetchDeadlines::default()).await?;
        fetched.map(|fetched| fetched.body).ok_or(FetchError::Status(StatusCode::NOT_MODIFIED))
    }

    /// Sends the request. `None`: nothing changed since the answer with this `ETag` (304).
    ///
    /// # Errors
    /// As [`Origin::get`].
    pub async fn get_if_changed(
        &self,
        etag: Option<&HeaderValue>,
        deadlines: FetchDeadlines,
    ) -> Result<Option<Fetched>, FetchError> {
        let limit = deadlines.whole;
        let late = |_| FetchError::timeout("the whole response", limit);
        timeout(limit, self.exchange(etag, deadlines.connect)).await.map_err(late)?
    }

    async fn exchange(
        &self,
        etag: Option<&HeaderValue>,
        connect: Duration,
    ) -> Result<Option<Fetched>, FetchError> {
        let stream = self.connect(connect).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(not_http)?;
        let answer = async {
            let response = sender.send_request(self.request(etag)?).await.map_err(not_http)?;
            read(response, etag.is_some(), self.most).await
        };
        // The connection is driven here and not in a task, so that it ends with this future. Its
        // own end tells nothing that the answer does not.
        let drive = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            never = drive => never,
        }
    }

    fn request(&self, etag: Option<&HeaderValue>) -> Result<Request<Empty<Bytes>>, FetchError> {
        let mut request = Request::get(&self.target)
            .header(header::HOST, self.server.to_string())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close");
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some((name, value)) = &self.field {
            request = request.header(*name, value);
        }
        request
            .body(Empty::new())
            .map_err(|error| FetchError::Failed(ListFailure::Http, said(&error)))
    }

    async fn connect(&self, limit: Duration) -> Result<Box<dyn ByteStream>, FetchError> {
        let tls = match self.server.is_tls() {
            true => Some(Arc::new(client_config(self.ca_file.as_deref(), self.ca_key)?)),
            false => None,
        };
        Ok(self.server.connect(tls, limit).await?)
    }
}

/// The name of the server with its port, as in `Host`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

async fn read(
    response: Response<Incoming>,
    asked: bool,
    most: usize,
) -> Result<Option<Fetched>, FetchError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if asked => return Ok(None),
        StatusCode::TOO_MANY_REQUESTS => {
            let after = response.headers().get(header::RETRY_AFTER);
            let seconds = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
            return Err(FetchError::Limited(seconds.map(Duration::from_secs)));
        }
        status => return Err(FetchError::Status(status)),
    }
    let (head, mut rest) = response.into_parts();
    let coding = head.headers.get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| coding != "identity") {
        let words = "the response has a content coding that was not requested";
        return Err(FetchError::Failed(ListFailure::Encoded, words.to_owned()));
    }
    let mut body = Vec::new();
    while let Some(frame) = rest.frame().await {
        let Ok(data) = frame.map_err(not_http)?.into_data() else { continue };
        if body.len() + data.len() > most {
            let words = format!("the response has more than {most} bytes, too many for a list");
            return Err(FetchError::Failed(ListFailure::TooLarge, words));
        }
        body.extend_from_slice(&data);
    }
    let etag = head.headers.get(header::ETAG).filter(|etag| etag.len() <= MOST_ETAG).cloned();
    Ok(Some(Fetched { body, etag }))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_http(error: hyper::Error) -> FetchError {
    let words = format!("the response is truncated or not HTTP: {}", of_hyper(&error));
    FetchError::Failed(ListFailure::Http, words)
}
