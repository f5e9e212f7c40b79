//! The TLS handshake of the explained request: which certificate is presented, and why that one.

use super::Explanation;
use crate::cli::Failure;
use crate::cli::certificates::{Certificates, Choice};
use crate::config::ListenerProtocol;
use crate::control::reconcile::Build;
use crate::error::Reason;
use crate::model::Host;
use crate::net::fields::Fields;
use crate::net::message::Request;
use crate::pki::client_certificate::{BreakGlassAccess, Mode};
use crate::tls::TlsPeer;
use http::header;
use std::net::IpAddr;

/// The host of a request in its normal form, and whether it is the name of one: a ClientHello has no
/// name for an address (RFC 6066 section 3).
pub(super) fn named_host(request: &Request<()>) -> (String, bool) {
    let written = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = written.and_then(|host| Host::parse(host).ok());
    let host = host.as_ref().map_or("", Host::as_str).to_owned();
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    let is_name = !is_address && !host.is_empty();
    (host, is_name)
}

/// Whether a request belongs on its connection; or why there is no connection.
pub(super) type Stands = Result<Result<(), Reason>, String>;

/// How the request comes.
#[derive(Clone, Copy)]
pub(super) struct By<'b> {
    /// Of the listener that takes it, if that is known.
    pub(super) protocol: Option<ListenerProtocol>,
    pub(super) is_https: bool,
    pub(super) sni: Option<&'b str>,
    /// Whom the connection is from.
    pub(super) peer: TlsPeer,
}

/// Whether a request belongs on its connection, if there is one; notes what a handshake presents.
pub(super) fn stands(
    certificates: &Certificates<'_>,
    request: &Request<()>,
    by: By<'_>,
    explanation: &mut Explanation,
) -> Result<Stands, Failure> {
    match by.protocol {
        Some(ListenerProtocol::Https) => of(certificates, request, by, explanation),
        Some(ListenerProtocol::Http) => {
            Ok(without_tls(certificates, request, by.peer, explanation))
        }
        Some(ListenerProtocol::Tcp) => Ok(Ok(Ok(()))),
        None => {
            if by.is_https {
                foretell(certificates, request, explanation);
            }
            Ok(Ok(Ok(())))
        }
    }
}

/// The TLS handshake for the request.
fn of(
    certificates: &Certificates<'_>,
    request: &Request<()>,
    by: By<'_>,
    explanation: &mut Explanation,
) -> Result<Stands, Failure> {
    let (host, is_name) = named_host(request);
    let name = by.sni.or(is_name.then_some(&host));
    let judged = certificates.judge(name, &host)?;
    explanation.full_strict = judged.map(|judgement| judgement.text());
    tell(&certificates.choice(name), explanation);
    Ok(certificates.shown(name, &host, by.peer).and_then(|presented| {
        explanation.certificate = Some(presented.certificate);
        explanation.certificate_others = presented.others;
        explanation.client = asked(certificates, name, by.peer)?;
        Ok(presented.belongs.then_some(()).ok_or(Reason::MisdirectedRequest))
    }))
}

/// Whether the request may come without TLS, or why nothing is served.
fn without_tls(
    certificates: &Certificates<'_>,
    request: &Request<()>,
    peer: TlsPeer,
    explanation: &mut Explanation,
) -> Stands {
    let (host, _) = named_host(request);
    explanation.client = asked(certificates, Some(&host), peer)?;
    match certificates.demand(Some(&host), peer)?.mode {
        Mode::Off | Mode::Request => Ok(Ok(())),
        Mode::Require => Ok(Err(Reason::ClientCertificateRequired)),
    }
}

/// What is asked of a client of a host, in words; `None` if nothing is.
fn asked(
    certificates: &Certificates<'_>,
    host: Option<&str>,
    peer: TlsPeer,
) -> Result<Option<String>, String> {
    let demand = certificates.demand(host, TlsPeer::Cloudflare)?;
    if demand.mode == Mode::Off {
        return Ok(None);
    }
    let in_break_glass = match certificates.break_glass(host.unwrap_or_default()) {
        Some(BreakGlassAccess::Open) if peer == TlsPeer::Stranger => {
            "; not of this visitor, for whom break-glass opens the host"
        }
        Some(BreakGlassAccess::Open) => "; open in break-glass",
        Some(_) if peer == TlsPeer::Stranger => "; closed in break-glass",
        Some(_) | None => "",
    };
    Ok(Some(format!("{demand}{in_break_glass}")))
}

/// Without a configuration nobody knows the listener: what one with TLS would present.
fn foretell(certificates: &Certificates<'_>, request: &Request<()>, explanation: &mut Explanation) {
    let (host, is_name) = named_host(request);
    let name = is_name.then_some(&*host);
    let (certificate, others) = match certificates.shown(name, &host, TlsPeer::Cloudflare) {
        Ok(presented) => (presented.certificate, presented.others),
        Err(none) => (none, None),
    };
    (explanation.certificate, explanation.certificate_others) = (Some(certificate), others);
    tell(&certificates.choice(name), explanation);
}

fn tell(choice: &Choice, explanation: &mut Explanation) {
    explanation.certificate_from.clone_from(&choice.from);
    explanation.certificate_others_from.clone_from(&choice.others_from);
    explanation.certificate_why = Some(choice.why.clone());
}

/// Says of a certResolver of the route, or of its Ingress, that it orders nothing.
pub(super) fn add_resolver(build: &Build, explanation: &mut Explanation) {
    let (Some(route), Some(why)) = (&explanation.route, &mut explanation.certificate_why) else {
        return;
    };
    let asks = build.findings.iter().any(|finding| {
        let object = &finding.object;
        let is_of_route = object.kind.as_str() == route.object
            && format!("{}/{}", object.namespace, object.name) == route.ingress;
        is_of_route && finding.field.to_ascii_lowercase().contains("certresolver")
    });
    if asks {
        why.push_str("; its certResolver orders none: ravelin requests no certificates");
    }
}
