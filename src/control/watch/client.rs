//! Requests to the API server, each with bounds in time and size.
//!
//! The stack is kube's (TLS, tokens of files), without its retries, which we pace ourselves, and without
//! its log lines, and with TCP keep-alive.

use super::credentials::Renewing;
use super::decode::{self, Page};
use super::failure::Failure;
use super::recovery::Recovery;
use super::scope::{Limit, Scope};
use crate::config::Kubernetes;
use crate::telemetry::WatchFailure;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, Client, ConfigExt as _};
use kube::config::Config;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tower::{BoxError, ServiceBuilder};
use tower_http::decompression::DecompressionLayer;

/// For a TCP connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Probes of a connection without traffic: a peer that is gone is noticed after a minute.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// Largest page, in bytes: 500 objects of half a MiB each, or 100 Secrets of 1.5 MiB, twice that in
/// JSON. Ordinary pages have half a MiB in all.
pub(super) const MAX_PAGE_BYTES: usize = 256 * 1024 * 1024;

/// Longest line of a watch, in bytes: etcd takes objects of 1.5 MiB, and JSON escapes some of it.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Longest answer that is not a success: a `Status` object.
const MAX_STATUS_BYTES: usize = 64 * 1024;

/// Why the API server cannot be contacted. Each text includes the fix.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig file cannot be used.
    #[error("source.kubeconfig {path:?}: {problem}; name a kubeconfig file that kubectl takes")]
    Kubeconfig {
        /// As configured.
        path: PathBuf,
        /// The problem; nothing of its keys.
        problem: String,
    },
    /// There is no service account.
    #[error(
        "not in a pod with a service account: {0}; set source.kubeconfig, or run as a pod with \
         automountServiceAccountToken"
    )]
    NoServiceAccount(String),
    /// The certificates or credentials in it cannot be used.
    #[error("the credentials for the API server are not usable: {0}")]
    Credentials(String),
}

/// The API server.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    recovery: Arc<Recovery>,
    /// How long it may be silent while it owes an answer.
    patience: Duration,
}

impl Api {
    /// Reads where it is and who we are. Says nothing to it yet. Within a runtime.
    pub(super) async fn new(source: &Kubernetes) -> Result<Self, ConnectError> {
        let (service, namespace) = Renewing::new(source.kubeconfig.as_deref()).await?;
        let client = Client::new(service, namespace);
        Ok(Self::of(client, source.request_timeout))
    }

    /// One that is asked by this client, and given so long for an answer.
    pub(super) fn of(client: Client, patience: Duration) -> Self {
        Self { client, recovery: Arc::default(), patience }
    }

    /// What is known of its absence.
    pub(super) fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// A client of the same API server for other uses. It retries nothing.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// How long it may be silent while it owes an answer.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Reads one page.
    pub(super) async fn page(
        &self,
        scope: &Scope,
        limit: Limit,
        next: Option<&str>,
    ) -> Result<Page, Failure> {
        let answer = self.send(scope.page(limit, next)).await?;
        let bytes = self.read(answer.into_body(), MAX_PAGE_BYTES).await?;
        decode::page(scope.kind, &bytes)
    }

    /// Asks whether the CustomResourceDefinition of the kind of a scope is being deleted.
    pub(super) async fn definition(&self, scope: &Scope) -> Result<bool, Failure> {
        let answer = self.send(scope.definition()).await?;
        let bytes = self.read(answer.into_body(), MAX_PAGE_BYTES).await?;
        let read: Result<serde_json::Value, _> = serde_json::from_slice(&bytes);
        let read = read.map_err(|error| Failure::of_decoding(&error))?;
        Ok(read.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()))
    }

    /// Opens a watch.
    pub(super) async fn watch(
        &self,
        scope: &Scope,
        version: &str,
        seconds: u32,
    ) -> Result<Lines, Failure> {
        let mut request = scope.watch(version, seconds);
        // Newer API servers compress each event by itself, which the decoder takes for an end.
        let identity = http::HeaderValue::from_static("identity");
        request.headers_mut().insert(http::header::ACCEPT_ENCODING, identity);
        let body = self.send(request).await?.into_body();
        Ok(Lines { body, buffer: Vec::new(), searched: 0 })
    }

    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, Failure> {
        let sent = self.client.send(request.map(Body::from));
        let answer = timeout(self.patience, sent)
            .await
            .map_err(|_| silent("did not respond", self.patience))?
            .map_err(|error| Failure::of_error(WatchFailure::Connect, &error))?;
        let status = answer.status();
        if status.is_success() {
            self.recovery.answered(Instant::now());
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        // The status says enough where its words do not arrive.
        let words = self.read(body, MAX_STATUS_BYTES).await.unwrap_or_default();
        Err(Failure::of_answer(status, &head.headers, &words))
    }

    pub(super) async fn read(&self, mut body: Body, most: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        loop {
            let frame = timeout(self.patience, body.frame()).await;
            let frame = frame.map_err(|_| silent("stopped within a response", self.patience))?;
            let Some(frame) = frame else {
                return Ok(bytes);
            };
            let frame = frame.map_err(|error| Failure::of_error(WatchFailure::Broken, &error))?;
            let data = frame.into_data().unwrap_or_default();
            if bytes.len() + data.len() > most {
                return Err(too_long("an answer", most));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

fn silent(what: &str, patience: Duration) -> Failure {
    Failure::new(WatchFailure::Timeout, format!("the API server {what} within {patience:?}"))
}

fn too_long(what: &str, most: usize) -> Failure {
    Failure::new(WatchFailure::Decode, format!("{what} is longer than {most} bytes"))
}

/// An open watch.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have no line break.
    searched: usize,
}

impl Lines {
    /// The next line, without its break; `None` at a clean end. Waits for as long as it takes.
    /// Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<u8>, Failure>> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(at) = found {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                line.pop();
                if line.is_empty() {
                    continue;
                }
                return Some(Ok(line));
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE_BYTES {
                return Some(Err(too_long("an event", MAX_LINE_BYTES)));
            }
            match self.body.frame().await {
                None if self.buffer.is_empty() => return None,
                None => {
                    let words = "a watch ended within an event";
                    return Some(Err(Failure::new(WatchFailure::Broken, words)));
                }
                Some(Err(error)) => {
                    return Some(Err(Failure::of_error(WatchFailure::Broken, &error)));
                }
                Some(Ok(frame)) => {
                    self.buffer.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
            }
        }
    }
}

/// A client with these credentials.
pub(super) fn connect(config: &Config) -> Result<Client, ConnectError> {
    client(config).map_err(|error| {
        ConnectError::Credentials(Failure::of_error(WatchFailure::Connect, &error).words)
    })
}

fn client(config: &Config) -> Result<Client, kube::Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    if config.cluster_url.scheme() == Some(&http::uri::Scheme::HTTP) {
        // Without TLS no CAs are needed, and an image may have none.
        return stack(config, connector);
    }
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker, and has set the same.
        let _ = aws_lc_rs::default_provider().install_default();
    }
    stack(config, config.rustls_https_connector_with_connector(connector)?)
}

fn stack<C>(config: &Config, connector: C) -> Result<Client, kube::Error>
where
    C: tower::Service<http::Uri> + Clone + Send + Sync + 'static,
    C::Response: hyper::rt::Read
        + hyper::rt::Write
        + hyper_util::client::legacy::connect::Connection
        + Unpin
        + Send
        + 'static,
    C::Future: Send + Unpin + 'static,
    C::Error: Into<BoxError>,
{
    let http =
        hyper_util::client::legacy::Builder::new(TokioExecutor::new()).build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(DecompressionLayer::new().gzip(!config.disable_compression))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}
