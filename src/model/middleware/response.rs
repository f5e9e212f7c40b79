//! What becomes of responses, and what pods are told of a client's certificate.

use super::super::{BackendKey, HostPattern};
use super::StepKind;
use http::{HeaderName, StatusCode};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// `compress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    /// `minResponseBodyBytes`.
    pub min_bytes: u64,
    /// `encodings` that are offered, in the order of preference: `br`, `gzip`.
    pub encodings: Vec<&'static str>,
    /// `defaultEncoding`: for clients that name none (RFC 9110 section 12.5.3: any is acceptable then).
    pub default: Option<&'static str>,
    /// `excludedContentTypes`, without parameters, in lower case.
    pub excluded: Vec<Box<str>>,
    /// `includedContentTypes`: only these, if there are any.
    pub included: Vec<Box<str>>,
}

/// `errors`: pages of a Service in place of responses with some statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPages {
    /// `status`.
    pub status: Vec<StatusRange>,
    /// `statusRewrites`: the status that the client gets.
    pub rewrites: Vec<(StatusRange, StatusCode)>,
    /// `service`.
    pub backend: BackendKey,
    /// `query`: the path, with `{status}`, `{originalStatus}` and `{url}`.
    pub query: Arc<str>,
    /// `errorRequestHeaders`: the only fields of the request that the Service gets, beside `Host`; all if it is
    /// not set.
    pub request_fields: Option<Vec<HeaderName>>,
    /// Whether responses of our own have pages as well.
    pub ours: bool,
    /// Whether the Service is told of the response as ingress-nginx tells its own: `X-Code`, `X-Format`,
    /// `X-Original-URI`.
    pub nginx_fields: bool,
}

/// Statuses from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl StatusRange {
    /// Whether a status is among them.
    pub fn contains(self, status: StatusCode) -> bool {
        (self.first..=self.last).contains(&status.as_u16())
    }
}

/// `retry`: how often a request is sent, and after which responses. After failures of the network a route cannot
/// widen which requests are sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryLimit {
    /// `attempts`, the first included.
    pub attempts: NonZeroU32,
    /// `initialInterval`: how long it waits before it tries pods again that it has tried; then longer, to twice as
    /// long at the last.
    pub interval: Duration,
    /// `timeout`: so long after the request came it is not sent again.
    pub timeout: Option<Duration>,
    /// `status`: responses with these are given up, and the request is sent again.
    pub statuses: Vec<StatusRange>,
    /// `retryNonIdempotentMethod`: for such responses to requests of any method.
    pub any_method: bool,
    /// Whether a request without a response is sent again: not with `disableRetryOnNetworkError`.
    pub network: bool,
    /// `maxRequestBodyBytes`: requests with more are not sent again for a status. `None`: as many as can be kept.
    pub max_body: Option<u64>,
}

impl RetryLimit {
    /// A bound for attempts alone.
    pub fn of(attempts: NonZeroU32, interval: Duration) -> Self {
        Self {
            attempts,
            interval,
            timeout: None,
            statuses: Vec::new(),
            any_method: false,
            network: true,
            max_body: None,
        }
    }
}

/// `passTLSClientCert`, and `ravelin.dev/client-certificate-headers`: what pods are told of the certificate that the client
/// has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificateFields {
    /// `pem`: the certificate in `X-Forwarded-Tls-Client-Cert`.
    pub pem: bool,
    /// `info`: what of it is told in `X-Forwarded-Tls-Client-Cert-Info`, as names of Traefik: `subject.commonName`,
    /// `issuer.organization`, `notAfter`, `notBefore`, `serialNumber`, `sans`.
    pub info: Vec<&'static str>,
    /// The fields of RFC 9440. `None`: they are not asked for.
    pub standard: Option<CertificateHeaders>,
    /// The hosts whose pods are told; all if there are none.
    pub hosts: Vec<HostPattern>,
}

impl ClientCertificateFields {
    /// Its kind.
    pub(super) fn kind(&self) -> StepKind {
        match self.standard {
            Some(_) => StepKind::ClientCertificateHeaders,
            None => StepKind::PassTlsClientCert,
        }
    }
}

/// The fields of RFC 9440.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateHeaders {
    /// `Client-Cert`.
    Certificate,
    /// `Client-Cert-Chain` as well.
    Chain,
}

impl CertificateHeaders {
    /// Reads the names of the fields, in whatever case and order.
    ///
    /// # Errors
    /// What is wrong, in words that follow the list.
    pub fn parse<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, &'static str> {
        let (mut certificate, mut chain) = (false, false);
        for name in names {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            match () {
                () if is("client-cert") => certificate = true,
                () if is("client-cert-chain") => chain = true,
                () => return Err("names another header"),
            }
        }
        match (certificate, chain) {
            (true, false) => Ok(Self::Certificate),
            (true, true) => Ok(Self::Chain),
            // RFC 9440 section 2.3: none without the other.
            (false, true) => Err("names Client-Cert-Chain without Client-Cert"),
            (false, false) => Err("names no header"),
        }
    }
}
