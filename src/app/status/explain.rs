//! `explain` for the running process: where a request would go now, by the functions of the request path, with the
//! gates, certificates and table in force. Nothing is sent.

use super::Sources;
use super::certificates::words;
use super::decide::{AskedRoute, Decided, decide};
use super::proofs::{Proof, ZoneSettings};
use super::question::ExplainQuery;
use super::routes::{RouteRow, route_row};
use super::steps::StepEffect;
use crate::config::ListenerProtocol;
use crate::error::Reason;
use crate::http::client_ip::{Identity, identify, text};
use crate::model::Host;
use crate::net::addr::PeerAddr;
use crate::net::fields::{FieldMap, Fields};
use crate::net::message::Request;
use crate::net::trust::{Speaker, TrustedPeer};
use crate::pki::client_certificate::Mode;
use crate::proxy::ListenerEntry;
use crate::proxy::middleware::StepAnswer;
use crate::proxy::request;
use crate::routing::Backend;
use crate::telemetry::AdmissionMode;
use crate::tls::{TlsPeer, covers, is_one_policy};
use http::{HeaderValue, header};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Endpoints that are named.
const MOST_ENDPOINTS: usize = 50;

/// Where a request goes, and why.
#[derive(Debug, Default, Serialize)]
pub(super) struct LiveExplanation {
    listener: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    admission: Option<String>,
    /// The client that logs, limits and allow lists see.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// What is presented to clients other than Cloudflare, if that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_others: Option<String>,
    /// Cloudflare's verdict under Full (strict) on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_strict: Option<&'static str>,
    /// Host and path as they were matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<RouteRow>,
    /// What proves that its requests came through the operator's zone, strongest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proofs: Vec<Proof>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    middlewares: Vec<StepEffect>,
    /// Addresses that it may go to: the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    endpoints: Vec<String>,
    /// `forwarded`, `none` (dropped), `reset`, `refused`, or status and reason of the response.
    answer: String,
    note: String,
}

/// Why the request does not come to a pod.
enum Stopped {
    /// Before HTTP.
    Connection { answer: &'static str, note: String },
    /// With a response.
    Response { answer: String, note: String },
}

impl From<Reason> for Stopped {
    fn from(reason: Reason) -> Self {
        let answer = format!("{} {}", reason.status().as_u16(), reason.label());
        Self::Response { answer, note: reason.text().to_owned() }
    }
}

impl From<Box<StepAnswer>> for Stopped {
    fn from(answer: Box<StepAnswer>) -> Self {
        let (status, reason) = (answer.status().as_u16(), answer.reason);
        let note = reason.text().to_owned();
        Self::Response { answer: format!("{status} {}", reason.label()), note }
    }
}

/// Who sends it.
struct Sent {
    peer: Option<PeerAddr>,
    /// Named by a trusted source.
    visitor: Option<HeaderValue>,
    via_cloudflare: bool,
    /// What the other end of the connection is to the handshake.
    tls_peer: TlsPeer,
}

impl Sources {
    /// # Errors
    /// Says which parameter is wrong.
    pub(super) fn explain(&self, query: &ExplainQuery) -> Result<LiveExplanation, String> {
        let position = self.listener(query)?;
        let listener = &self.config.listeners[position];
        let mut request = request_of(query)?;
        let mut told = LiveExplanation {
            listener: format!("{} {}", listener.name, listener.address),
            ..LiveExplanation::default()
        };
        match self.decide(query, position, &mut request, &mut told) {
            Ok(()) => "forwarded".clone_into(&mut told.answer),
            Err(Stopped::Connection { answer, note }) => {
                (told.answer, told.note) = (answer.to_owned(), note);
            }
            Err(Stopped::Response { answer, note }) => (told.answer, told.note) = (answer, note),
        }
        Ok(told)
    }

    /// The listener that is named, or the first that speaks the scheme, TLS first.
    fn listener(&self, query: &ExplainQuery) -> Result<usize, String> {
        let listeners = &self.config.listeners;
        if let Some(name) = &query.listener {
            let found = listeners.iter().position(|listener| *listener.name == **name);
            return found.ok_or_else(|| {
                let names: Vec<&str> = listeners.iter().map(|listener| &*listener.name).collect();
                format!("listener is {name:?}: give one of {}", names.join(", "))
            });
        }
        let schemes = query.scheme.as_deref().map_or(&["https", "http"][..], |scheme| {
            if scheme == "https" { &["https"] } else { &["http"] }
        });
        let by = |scheme: &&str| {
            listeners.iter().position(|listener| listener.protocol.as_str() == *scheme)
        };
        let found = schemes.iter().find_map(by);
        found.ok_or_else(|| format!("no listener speaks {}", schemes.join(" or ")))
    }

    fn decide(
        &self,
        query: &ExplainQuery,
        position: usize,
        request: &mut Request<()>,
        told: &mut LiveExplanation,
    ) -> Result<(), Stopped> {
        let sent = match query.from {
            Some(from) => self.admit(query, position, from, request, told)?,
            // Who says nothing of where it comes from means a visitor of Cloudflare.
            None => {
                let tls_peer = TlsPeer::Cloudflare;
                Sent { peer: None, visitor: None, via_cloudflare: true, tls_peer }
            }
        };
        let over_tls = self.config.listeners[position].protocol == ListenerProtocol::Https;
        let belongs = match over_tls {
            true => self.shake_hands(query, sent.tls_peer, told),
            false => Ok(self.without_tls(query, sent.tls_peer)),
        }?;
        let table = self.tables.load();
        let entry = ListenerEntry::of(&self.config).get(position).copied();
        let host = Host::parse(&query.host).ok();
        let snapshot = self.certificates.load();
        let policy =
            host.as_ref().and_then(|host| snapshot.policy(Some(host.as_str()), sent.tls_peer));
        let settings = ZoneSettings {
            demand: policy.map(|policy| policy.demand()),
            cloudflare: Some(&self.config.cloudflare),
        };
        let asked = AskedRoute {
            request,
            most_target: self.config.limits.request_target,
            entry: entry.unwrap_or(ListenerEntry { bits: u32::MAX, redirects: false }),
            over_tls,
            belongs,
            peer: sent.peer,
            visitor: sent.visitor.as_ref(),
            via_cloudflare: sent.via_cloudflare,
            settings,
        };
        let mut decided = Decided::default();
        let found = decide(&table, &asked, &mut decided);
        (told.host, told.path) = (decided.host, decided.path);
        told.route = decided.route.map(|id| route_row(&table, id));
        (told.proofs, told.middlewares) = (decided.proofs, decided.steps);
        reach(table.backend(found?), told)
    }

    /// Whether the connection is admitted, and whom its request is taken to be from.
    fn admit(
        &self,
        query: &ExplainQuery,
        position: usize,
        from: IpAddr,
        request: &mut Request<()>,
        told: &mut LiveExplanation,
    ) -> Result<Sent, Stopped> {
        let gate = self.gates[position].load();
        if gate.is_balancer(from) {
            let note =
                "a load balancer: its PROXY header names the source, give that as from".to_owned();
            return Err(Stopped::Connection { answer: "closed", note });
        }
        let Some(set) = gate.admits(from) else {
            let kernel = self.telemetry.ports()[position].mode() != AdmissionMode::UserSpace;
            let (answer, how) = if kernel {
                ("none", "the kernel drops its packets")
            } else {
                ("reset", "the connection is accepted and reset")
            };
            told.admission = Some("refused: in none of the sets".to_owned());
            return Err(Stopped::Connection { answer, note: how.to_owned() });
        };
        told.admission = Some(format!("admitted: in the set {set}"));
        let peer = PeerAddr::new(SocketAddr::new(from, 0));
        let trusted = gate.believed().check(peer);
        let tls_peer = TlsPeer::of(trusted.map(TrustedPeer::speaker), gate.is_stranger(from));
        let (visitor, via_cloudflare) = (None, false);
        let mut sent = Sent { peer: Some(peer), visitor, via_cloudflare, tls_peer };
        let mut client = from;
        if let Some(trusted) = trusted {
            if let Some(visitor) = query.visitor {
                let name = match trusted.speaker() {
                    Speaker::Cloudflare => "cf-connecting-ip",
                    Speaker::Proxy => "x-forwarded-for",
                };
                request.headers_mut().append(http::HeaderName::from_static(name), text(visitor));
            }
            let Identity { client: named, text, via_cloudflare, .. } =
                identify(peer, trusted, gate.believed(), request.headers());
            client = named.ip();
            (sent.visitor, sent.via_cloudflare) = (Some(text), via_cloudflare);
        }
        told.client = Some(client.to_string());
        self.judge(client, sent.via_cloudflare, request.headers())?;
        Ok(sent)
    }

    /// Whether the visitor is banned. What Cloudflare adds to a request (a secret, a Worker's zone) is not asked for.
    fn judge(
        &self,
        client: IpAddr,
        via_cloudflare: bool,
        headers: &FieldMap,
    ) -> Result<(), Stopped> {
        match self.policy.judge(client, via_cloudflare, headers) {
            Err(Reason::ClientDenied) => Err(Reason::ClientDenied.into()),
            _ => Ok(()),
        }
    }

    /// Whether a request may come without TLS.
    fn without_tls(&self, query: &ExplainQuery, peer: TlsPeer) -> Result<(), Reason> {
        let snapshot = self.certificates.load();
        let policy = snapshot.policy(Some(&query.host), peer);
        match policy.map(|policy| policy.mode()) {
            Some(Mode::Require) => Err(Reason::ClientCertificateRequired),
            Some(Mode::Request | Mode::Off) | None => Ok(()),
        }
    }

    /// The certificates that the handshake presents, and whether a request belongs on the connection.
    fn shake_hands(
        &self,
        query: &ExplainQuery,
        peer: TlsPeer,
        told: &mut LiveExplanation,
    ) -> Result<Result<(), Reason>, Stopped> {
        let host = Host::parse(&query.host).ok();
        let host = host.as_ref().map_or("", Host::as_str);
        // A ClientHello has no name for an address (RFC 6066 section 3).
        let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
        let name = Some(host).filter(|host| !is_address && !host.is_empty());
        let snapshot = self.certificates.load();
        let found = snapshot.find(name).map_err(|why| {
            let note = format!("unrecognized_name: no certificate for this name ({})", why.label());
            Stopped::Connection { answer: "refused", note }
        })?;
        let [own, others] =
            [TlsPeer::Cloudflare, TlsPeer::Other].map(|peer| found.for_peer(peer).certificate());
        let by_default = if found.by_default { ", the default" } else { "" };
        told.certificate = Some(words(own) + by_default);
        told.certificate_others = (!Arc::ptr_eq(own, others)).then(|| words(others));
        let certificate = found.for_peer(peer).certificate();
        let cells = self.telemetry.certificates().read();
        let verdict = cells.full_strict.iter().find(|(of, ..)| of == host);
        told.full_strict = verdict.map(|(_, verdict, _)| verdict.label());
        let belongs = covers(&snapshot, certificate, found.by_default, name, host)
            && is_one_policy(&snapshot, peer, name, host);
        Ok(belongs.then_some(()).ok_or(Reason::MisdirectedRequest))
    }
}

/// The endpoints that it may go to.
fn reach(backend: &Backend, told: &mut LiveExplanation) -> Result<(), Stopped> {
    match request::usable(backend) {
        Err(Reason::NoEndpoint) if backend.external.is_some() => Ok(()),
        Err(reason) => Err(reason.into()),
        Ok(set) => {
            let first = set.usable().iter().take(MOST_ENDPOINTS);
            told.endpoints = first.map(|endpoint| endpoint.addr.to_string()).collect();
            Ok(())
        }
    }
}

/// The request that a client makes.
fn request_of(query: &ExplainQuery) -> Result<Request<()>, String> {
    let host = HeaderValue::try_from(&*query.host)
        .map_err(|_| format!("host is {:?}: it is no value of a Host field", query.host))?;
    let request = http::Request::builder().method(query.method.clone()).uri(&*query.path);
    let request = request.header(header::HOST, host).body(());
    let wrong = |error: http::Error| format!("path is {:?}: {error}", query.path);
    request.map(Into::into).map_err(wrong)
}
