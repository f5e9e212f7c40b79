//! What routes ask of a Service beside the words of the Service.

use crate::model::{Algorithm, HealthCheck, HostSent, Timeouts};
use crate::pki::endpoint_tls::{TlsDetails, Trust};
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// What routes ask of a port beside the words of its Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) scheme: Option<AskedScheme>,
    pub(super) tls: Option<Arc<TransportTls>>,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) host: Option<HostSent>,
    pub(super) check: Option<Arc<HealthCheck>>,
}

/// The scheme of requests to pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum AskedScheme {
    Http,
    H2c,
    Https,
    /// Bytes as they come.
    Tcp,
    /// The same within TLS.
    Tls,
}

impl AskedScheme {
    /// Whether it is for connections, and not for requests.
    pub(super) fn is_of_connections(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// TLS to pods, beside what their Service says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TransportTls {
    /// The name in SNI and in the certificate, if it is given.
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) trust: Trust,
    pub(super) details: TlsDetails,
    /// Whether HTTP/2 is not offered.
    pub(super) over_http1: bool,
}
