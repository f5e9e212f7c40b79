//! What lines have beyond those of ravelin's own format, and where it is kept meanwhile.

use super::custom::Custom;
use crate::model::RuleHash;
use crate::net::addr::PeerAddr;
use crate::net::fields::Fields;
use crate::telemetry::kept_fields::{KeptField, kept};
use crate::telemetry::{SeriesLabels, TlsSuite, TlsVersion};
use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// What is kept of a request for its line, from its head on: only where the log asks for it.
#[derive(Debug, Default)]
pub struct Details {
    pub(super) request: Vec<KeptField>,
    pub(super) response: Vec<KeptField>,
    /// `traceparent`, if there is one alone.
    pub(super) traceparent: Option<HeaderValue>,
    pub(super) route: Option<RouteDetails>,
}

/// What is kept of a route.
#[derive(Debug)]
pub struct RouteDetails {
    /// The path of its rule.
    pub path: Box<str>,
    /// The hash of its rule, if it is of an IngressRoute.
    pub rule_hash: Option<RuleHash>,
    /// The scheme of the pods' URLs, in Traefik's words.
    pub scheme: &'static str,
}

impl Details {
    /// What is kept of the fields that a client has sent.
    pub fn of_request(custom: &Custom, headers: &impl Fields) -> Self {
        let mut traces = headers.get_all("traceparent");
        let traceparent = traces.next().filter(|_| traces.next().is_none()).cloned();
        Self { request: logged(&custom.request, headers), traceparent, ..Self::default() }
    }

    /// Keeps fields of the response, as the client gets it.
    pub fn note_response(&mut self, custom: &Custom, headers: &impl Fields) {
        self.response = logged(&custom.response, headers);
    }

    /// Keeps the route. `secrets`: fields in which its steps expect a secret, whose values are let go.
    pub fn note_route<'n>(
        &mut self,
        custom: &Custom,
        route: RouteDetails,
        secrets: impl Iterator<Item = &'n HeaderName>,
    ) {
        self.route = Some(route);
        for secret in secrets {
            for field in &mut self.request {
                if custom.request.get(field.position).is_some_and(|name| name.name == *secret) {
                    field.values = Vec::new();
                }
            }
        }
    }
}

/// Those that are there; of one that is redacted no value.
fn logged(names: &[LoggedName], headers: &impl Fields) -> Vec<KeptField> {
    let mut all = kept(names.iter().map(|name| &name.name), headers);
    for field in &mut all {
        if names.get(field.position).is_some_and(|name| name.is_redacted) {
            field.values = Vec::new();
        }
    }
    all
}

/// A field that is logged wherever it is.
#[derive(Clone, Debug)]
pub(super) struct LoggedName {
    pub(super) name: HeaderName,
    /// As Go writes it: `User-Agent`.
    pub(super) canonical: Box<str>,
    pub(super) is_redacted: bool,
}

impl LoggedName {
    pub(super) fn new(name: HeaderName, is_redacted: bool) -> Self {
        let mut canonical = String::with_capacity(name.as_str().len());
        for letter in name.as_str().chars() {
            let starts = canonical.is_empty() || canonical.ends_with('-');
            canonical.push(if starts { letter.to_ascii_uppercase() } else { letter });
        }
        Self { name, canonical: canonical.into(), is_redacted }
    }
}

/// What a line has beyond [`super::Line`].
#[derive(Debug)]
pub struct More<'a> {
    /// What was kept of request and response, if it came so far.
    pub details: Option<&'a Details>,
    /// The labels of the route, if a rule matched.
    pub labels: Option<&'a SeriesLabels>,
    /// Position of the listener.
    pub listener: usize,
    /// The other end of the connection.
    pub peer: PeerAddr,
    /// TLS of the connection, if it has TLS.
    pub tls: Option<TlsFacts<'a>>,
    /// Whether the visitor came with TLS, if only to Cloudflare.
    pub over_tls: bool,
    /// The query, as received.
    pub query: Option<&'a str>,
    /// The status of the pod's response, if there was one.
    pub origin_status: Option<u16>,
    /// From the request head to its sending to a pod, if it was sent.
    pub until_sent: Option<Duration>,
}

/// TLS as lines have it.
#[derive(Clone, Copy, Debug)]
pub struct TlsFacts<'a> {
    /// Version.
    pub version: TlsVersion,
    /// Cipher suite.
    pub suite: TlsSuite,
    /// The name in the ClientHello.
    pub server_name: Option<&'a str>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}
