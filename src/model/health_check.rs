//! Active health checks of endpoints: a request at intervals, with or without client traffic.

use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// How the endpoints of a Service port are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub kind: CheckKind,
    /// Path and query of the request.
    pub path: Arc<str>,
    /// Its method.
    pub method: Method,
    /// Value of its `Host`; `None` is the address of the endpoint, as with a kubelet.
    pub host: Option<Arc<str>>,
    /// Further fields.
    pub fields: Arc<[(HeaderName, HeaderValue)]>,
    /// The only status that passes. `None`: all from 200 to 399, as with a kubelet (core/v1 HTTPGetAction).
    pub status: Option<StatusCode>,
    /// The port that is asked, if it is not that of requests.
    pub port: Option<NonZeroU16>,
    /// Whether it is asked without TLS, whatever requests are sent with.
    pub plain: Option<PlainCheck>,
    /// Whether a redirect to another path of the endpoint is followed.
    pub follows: bool,
    /// From the end of one check to the next.
    pub interval: Duration,
    /// The same while the endpoint fails.
    pub failing_interval: Duration,
    /// How long connecting and the head of the answer may take, each.
    pub timeout: Duration,
}

/// What a health check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A request of HTTP.
    Http,
    /// The health service of gRPC (`grpc.health.v1.Health/Check`).
    Grpc,
}

/// What a health check without TLS speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainCheck {
    /// HTTP/1.1.
    Http,
    /// HTTP/2.
    H2c,
}

impl HealthCheck {
    /// Default of `interval`: a failed pod is ejected after half a minute, for a request every three
    /// seconds from three nodes.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// Shortest `interval`: checks must not become a load.
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// Default of `timeout`: that of a connection attempt.
    pub const TIMEOUT: Duration = Duration::from_secs(2);

    /// A check with this path, and the defaults.
    pub fn of(path: Arc<str>) -> Self {
        Self {
            kind: CheckKind::Http,
            path,
            method: Method::GET,
            host: None,
            fields: Arc::new([]),
            status: None,
            port: None,
            plain: None,
            follows: false,
            interval: Self::INTERVAL,
            failing_interval: Self::INTERVAL,
            timeout: Self::TIMEOUT,
        }
    }

    /// Whether an answer with this status passes.
    pub fn passes(&self, status: StatusCode) -> bool {
        match self.status {
            Some(only) => status == only,
            None => (200..400).contains(&status.as_u16()),
        }
    }
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CheckKind::Http => write!(f, "{} {}", self.method, self.path)?,
            CheckKind::Grpc => f.write_str("health service of gRPC")?,
        }
        write!(f, " every {:?}, timeout {:?}", self.interval, self.timeout)?;
        if let Some(port) = self.port {
            write!(f, ", at port {port}")?;
        }
        if let Some(status) = self.status {
            write!(f, ", expecting {}", status.as_u16())?;
        }
        match &self.host {
            Some(host) => write!(f, ", as {host}"),
            None => Ok(()),
        }
    }
}
