//! The connection to the collector: OTLP over HTTP/1.1, or gRPC over HTTP/2.

use super::super::queue::Spans;
use super::answer::{self, Answered};
use super::cells::ExportFailure;
use super::envelope::{Envelope, PREFIX, framed, gzip};
use crate::config::{TraceCompression, TraceProtocol, Tracing};
use crate::net::outbound::{HEAD_BYTES, OutboundError, Server, USER_AGENT, of_hyper};
use crate::pki::ca_bundle::{CaBundle, client_config};
use crate::pki::file::read_whole;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error(transparent)]
    Connection(#[from] OutboundError),
    #[error("{key} {path:?}: {what}")]
    File { key: &'static str, path: std::path::PathBuf, what: String },
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the connection broke off, or the answer is not {protocol}: {what}")]
    Http { protocol: &'static str, what: String },
    #[error("the collector answers {what}")]
    Status { what: String, is_retryable: bool, after: Option<Duration> },
}

impl ExportError {
    pub(super) fn why(&self) -> ExportFailure {
        match self {
            Self::Connection(OutboundError::Resolve { .. }) => ExportFailure::Resolve,
            Self::Connection(OutboundError::Connect { .. }) => ExportFailure::Connect,
            Self::Connection(OutboundError::Tls { .. }) => ExportFailure::Tls,
            Self::Connection(OutboundError::Timeout(_)) | Self::Timeout(_) => {
                ExportFailure::Timeout
            }
            Self::File { .. } => ExportFailure::File,
            Self::Http { .. } => ExportFailure::Http,
            Self::Status { .. } => ExportFailure::Status,
        }
    }

    /// Whether the same spans may be taken later (OTLP, "Failures").
    pub(super) fn is_retryable(&self) -> bool {
        !matches!(self, Self::Status { is_retryable: false, .. })
    }

    /// How long to wait, as the collector says.
    pub(super) fn after(&self) -> Option<Duration> {
        match self {
            Self::Status { after, .. } => *after,
            _ => None,
        }
    }

    pub(super) fn http(protocol: TraceProtocol, error: &hyper::Error) -> Self {
        Self::Http { protocol: protocol.name(), what: of_hyper(error) }
    }
}

/// The connection, if there is one, and how to make it.
pub(super) struct Link {
    config: Arc<Tracing>,
    server: Server,
    envelope: Envelope,
    open: Option<Open>,
}

enum Open {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Runs what a connection does beside its requests on the thread of the exporter.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

impl Link {
    /// Not connected yet.
    pub(super) fn new(config: &Arc<Tracing>) -> Self {
        let version = [("service.version", env!("CARGO_PKG_VERSION"))];
        let own = config.resource.iter().map(|(key, value)| (&**key, &**value));
        let first = [("service.name", &*config.service_name)].into_iter().chain(version);
        let envelope = Envelope::new(first.chain(own));
        Self {
            config: Arc::clone(config),
            server: Server::of(&config.endpoint),
            envelope,
            open: None,
        }
    }

    /// What is sent for these spans.
    pub(super) fn body(&self, spans: &[Spans]) -> Bytes {
        let is_grpc = self.config.protocol == TraceProtocol::Grpc;
        let room = if is_grpc { PREFIX } else { 0 };
        let message = self.envelope.seal(spans, room);
        let compressed = match self.config.compression {
            TraceCompression::None => None,
            // A `Vec` takes everything.
            TraceCompression::Gzip => gzip(&message[room..]).ok(),
        };
        let (message, is_compressed) = match compressed {
            Some(bytes) if is_grpc => ([&[0; PREFIX], &*bytes].concat(), true),
            Some(bytes) => (bytes, true),
            None => (message, false),
        };
        if is_grpc { framed(message, is_compressed) } else { message.into() }
    }

    /// Sends a body, on the connection that there is or on a new one.
    pub(super) async fn send(&mut self, body: &Bytes) -> Result<Answered, ExportError> {
        let limit = self.config.timeout;
        let late = |_| ExportError::Timeout(limit);
        let result = tokio::time::timeout(limit, self.exchange(body)).await.map_err(late);
        let result = result.flatten();
        if result.is_err() {
            self.open = None;
        }
        result
    }

    async fn exchange(&mut self, body: &Bytes) -> Result<Answered, ExportError> {
        let request = self.request(body)?;
        // A collector may have closed it meanwhile.
        if let Some(mut open) = self.open.take()
            && let Ok(response) = open.send(request.clone()).await
        {
            return self.read(open, response).await;
        }
        let mut open = self.connect().await?;
        let response = open.send(request).await;
        let response = response.map_err(|error| ExportError::http(self.config.protocol, &error))?;
        self.read(open, response).await
    }

    async fn read(
        &mut self,
        open: Open,
        response: Response<Incoming>,
    ) -> Result<Answered, ExportError> {
        let answered = answer::read(self.config.protocol, response).await?;
        self.open = Some(open);
        Ok(answered)
    }

    async fn connect(&self) -> Result<Open, ExportError> {
        let is_grpc = self.config.protocol == TraceProtocol::Grpc;
        let alpn: &[u8] = if is_grpc { b"h2" } else { b"http/1.1" };
        let tls = match self.server.is_tls() {
            true => Some(Arc::new(client_config(self.authorities()?.as_ref(), &[alpn]))),
            false => None,
        };
        // A second address gets its turn.
        let stream = TokioIo::new(self.server.connect(tls, self.config.timeout / 2).await?);
        let failed = |error| ExportError::http(self.config.protocol, &error);
        if is_grpc {
            let handshake = http2::Builder::new(Here).handshake(stream);
            let (sender, connection) = handshake.await.map_err(failed)?;
            // Its end is noticed by the next request.
            tokio::task::spawn_local(async move { drop(connection.await) });
            Ok(Open::Http2(sender))
        } else {
            let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(stream);
            let (sender, connection) = handshake.await.map_err(failed)?;
            tokio::task::spawn_local(async move { drop(connection.await) });
            Ok(Open::Http1(sender))
        }
    }

    fn authorities(&self) -> Result<Option<CaBundle>, ExportError> {
        let Some(path) = &self.config.ca_file else { return Ok(None) };
        let failed = |what| ExportError::File { key: "tracing.ca_file", path: path.clone(), what };
        CaBundle::from_file(path).map(Some).map_err(failed)
    }

    fn request(&self, body: &Bytes) -> Result<Request<Full<Bytes>>, ExportError> {
        let Tracing { protocol, endpoint, compression, .. } = &*self.config;
        let is_grpc = *protocol == TraceProtocol::Grpc;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.target(endpoint, is_grpc);
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        set(header::USER_AGENT, USER_AGENT);
        let is_gzip = *compression == TraceCompression::Gzip;
        if is_grpc {
            set(header::CONTENT_TYPE, "application/grpc");
            set(header::TE, "trailers");
            if is_gzip {
                set(HeaderName::from_static("grpc-encoding"), "gzip");
            }
        } else {
            set(header::CONTENT_TYPE, "application/x-protobuf");
            if is_gzip {
                set(header::CONTENT_ENCODING, "gzip");
            }
            let host = HeaderValue::try_from(self.server.to_string());
            headers.extend(host.ok().map(|host| (header::HOST, host)));
        }
        for (name, value) in self.config.headers.iter().cloned().chain(self.secrets()?) {
            headers.insert(name, value);
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn target(&self, endpoint: &Uri, is_grpc: bool) -> Uri {
        if !is_grpc {
            return endpoint.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        }
        let scheme = if self.server.is_tls() { "https" } else { "http" };
        // Both are parts of a URL that is valid.
        Uri::builder()
            .scheme(scheme)
            .authority(self.server.to_string())
            .path_and_query("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            .build()
            .unwrap_or_default()
    }

    /// The fields of `headers_file`, as they are now.
    fn secrets(&self) -> Result<Vec<(HeaderName, HeaderValue)>, ExportError> {
        let Some(path) = &self.config.headers_file else { return Ok(Vec::new()) };
        let failed =
            |what| ExportError::File { key: "tracing.headers_file", path: path.clone(), what };
        let text = read_whole(path).map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8(text).map_err(|_| failed("it is not UTF-8".to_owned()))?;
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        // The line may be a secret, and is not repeated.
        let read = lines.map(|(number, line)| {
            let field = crate::config::trace_header(line);
            let field = field.ok_or_else(|| {
                failed(format!("line {} is not a field; write \"Name: value\"", number + 1))
            });
            field.map(|(name, mut value)| {
                value.set_sensitive(true);
                (name, value)
            })
        });
        read.collect()
    }
}

impl Open {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

/// A status of HTTP that is no success.
pub(super) fn refused(status: StatusCode, headers: &HeaderMap) -> ExportError {
    let after = headers.get(header::RETRY_AFTER);
    let after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
    // OTLP/HTTP, "Retryable Response Codes".
    let is_retryable = matches!(status.as_u16(), 429 | 502 | 503 | 504);
    let hint = match status.as_u16() {
        301..=308 => "; redirects are not followed: use the final URL",
        401 | 403 => "; look at tracing.headers_file",
        404 | 405 => "; OTLP over HTTP usually is at port 4318, /v1/traces",
        _ => "",
    };
    let after = after.map(Duration::from_secs);
    ExportError::Status { what: format!("{status}{hint}"), is_retryable, after }
}
