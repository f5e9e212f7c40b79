//! ServersTransport (`traefik.io/v1alpha1`): TLS to the pods of a route, and how long they may take.
//!
//! What protects is obeyed, or the routes that name it answer 503: whom pods have to be, and as whom ravelin shows
//! itself to them.

mod authorities;

pub(in crate::control) use authorities::config_maps_of;

use super::middleware::{Dependency, Fields};
use super::report::Report;
use super::secret;
use super::wanted::TransportTls;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::quote::quote;
use crate::model::{Diagnostic, Kind, ObjectRef, Timeouts, Why};
use crate::pki::endpoint_tls::{ClientIdentity, PeerName, TlsDetails, TlsVersions, Trust};
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What was read of one, with the objects that it depends on.
pub(super) struct TransportRead {
    /// `None`: it cannot be used, which was told.
    pub(super) tls: Option<TransportTls>,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) dependencies: Vec<Dependency>,
}

/// The fields about TLS that a ServersTransportTCP has as well.
pub(super) const TLS_FIELDS: [&str; 8] = [
    "serverName",
    "insecureSkipVerify",
    "rootCAs",
    "rootCAsSecrets",
    "certificatesSecrets",
    "peerCertURI",
    "peerCertSANs",
    "spiffe",
];

/// What was read of those, with the objects that it depends on.
pub(super) struct TlsRead {
    pub(super) tls: TransportTls,
    pub(super) dependencies: Vec<Dependency>,
}

/// The objects, and the namespace whose Secrets and ConfigMaps are meant.
#[derive(Clone, Copy)]
pub(super) struct Within<'w> {
    pub(super) objects: &'w Objects,
    pub(super) namespace: &'w Arc<str>,
}

/// Reads one. Nothing where it does not exist.
pub(super) fn read(
    objects: &Objects,
    object: &ObjectRef,
    findings: &mut Vec<Diagnostic>,
) -> Option<TransportRead> {
    let source = objects.traefik(Kind::ServersTransport).get(&object.namespace, &object.name)?;
    let mut report = Report::new(object, findings);
    let within = Within { objects, namespace: &object.namespace };
    Some(content(source, Some(within), &mut report))
}

/// Reads one for what is wrong with it alone.
pub(super) fn check(source: &TraefikObject, report: &mut Report<'_>) {
    content(source, None, report);
}

fn content(
    source: &TraefikObject,
    within: Option<Within<'_>>,
    report: &mut Report<'_>,
) -> TransportRead {
    let mut fields = Fields::of_routes("spec", &source.spec, report);
    let mut known = TLS_FIELDS.to_vec();
    known.extend([
        "maxIdleConnsPerHost",
        "forwardingTimeouts",
        "disableHTTP2",
        "cipherSuites",
        "minVersion",
        "maxVersion",
    ]);
    fields.know(&known);
    fields.tell("maxIdleConnsPerHost", "upstream.idle_per_endpoint bounds those of each worker");
    fields.tell("cipherSuites", "those of TLS 1.3 and the strong ones of TLS 1.2 are offered");
    let TlsRead { mut tls, dependencies } = read_tls(&mut fields, within);
    tls.details.versions = versions(&mut fields);
    tls.over_http1 = fields.flag("disableHTTP2");
    let timeouts = timeouts(&mut fields);
    let tls = (!fields.is_broken()).then_some(tls);
    TransportRead { tls, timeouts, dependencies }
}

/// Reads [`TLS_FIELDS`], which are known.
pub(super) fn read_tls(fields: &mut Fields<'_, '_, '_>, within: Option<Within<'_>>) -> TlsRead {
    if fields.get("spiffe").is_some() {
        let reason = "is not supported: there is no workload API here";
        let fix = "name certificates in certificatesSecrets, CAs in rootCAs and the SPIFFE ID in peerCertURI";
        fields.refuse_for(Why::Unsupported, "spiffe", reason, fix);
    }
    let server_name = fields.text("serverName").filter(|name| !name.is_empty());
    let server_name = server_name.and_then(|name| {
        let read = ServerName::try_from(name.to_owned()).map_err(|_| "is not a name".to_owned());
        fields.parse("serverName", name, read, "write the name in the certificate")
    });
    let peer_names = peer_names(fields);
    let is_insecure = fields.flag("insecureSkipVerify");
    let named = authorities::named(fields);
    let trust = match is_insecure && peer_names.is_empty() {
        true => {
            let reason = "is true: the certificates of pods are not verified";
            fields.warn("insecureSkipVerify", reason, "name their CA in rootCAs");
            Trust::Anybody
        }
        false => authorities::read(fields, within, &named),
    };
    let certificates = fields.texts("certificatesSecrets");
    let identity = identity(fields, within, &certificates);
    let versions = TlsVersions::Both;
    let details = TlsDetails { identity, peer_names, skips_server_name: is_insecure, versions };
    let tls = TransportTls { server_name, trust, details, over_http1: false };
    let dependencies = within.map_or_else(Vec::new, |Within { namespace, .. }| {
        let of = |name: &str| (Arc::clone(namespace), Arc::from(name));
        let secrets = named.secrets.into_iter().chain(certificates);
        let secrets = secrets.map(|name| Dependency::Secret(of(name)));
        let config_maps = named.config_maps.into_iter();
        secrets.chain(config_maps.map(|name| Dependency::ConfigMap(of(name)))).collect()
    });
    TlsRead { tls, dependencies }
}

/// The names of which the certificate of a pod has to have one: `peerCertURI`, and `peerCertSANs`.
fn peer_names(fields: &mut Fields<'_, '_, '_>) -> Arc<[PeerName]> {
    let uri = fields.text("peerCertURI").filter(|uri| !uri.is_empty());
    let mut names: Vec<PeerName> = uri.map(|uri| PeerName::Uri(uri.into())).into_iter().collect();
    let count = fields.get("peerCertSANs").and_then(Value::as_array).map_or(0, Vec::len);
    if count == 0 && fields.get("peerCertSANs").is_some_and(|sans| !sans.is_array()) {
        fields.refuse("peerCertSANs", "is not a list", "list names by `type` and `value`");
    }
    for position in 0..count {
        match fields.item("peerCertSANs", position, peer_name).flatten() {
            Some(name) => names.push(name),
            // With one name less the others might be those of somebody else.
            None => fields.break_off(),
        }
    }
    names.into()
}

fn peer_name(fields: &mut Fields<'_, '_, '_>) -> Option<PeerName> {
    fields.know(&["type", "value"]);
    let value = fields.required("value", "write the name in the certificate")?;
    match fields.text("type").map(str::to_ascii_lowercase).as_deref() {
        Some("uri") => Some(PeerName::Uri(value.into())),
        Some("dnsname") => {
            let name = ServerName::try_from(value.to_owned());
            let name = name.map_err(|_| "is not a DNS name".to_owned());
            fields
                .parse("value", value, name, "write the name in the certificate")
                .map(PeerName::Host)
        }
        _ => {
            fields.refuse("type", "is not a type of name", "write URI or DNSName");
            None
        }
    }
}

/// The certificates that are presented to pods. Each has to be there: without it they would refuse, or take ravelin
/// for anybody.
fn identity(
    fields: &mut Fields<'_, '_, '_>,
    within: Option<Within<'_>>,
    names: &[&str],
) -> Option<Arc<ClientIdentity>> {
    let Within { objects, namespace } = within?;
    let mut certificates = Vec::with_capacity(names.len());
    for name in names {
        match secret::read(namespace, name, objects.secrets().get(namespace, name).map(|it| &**it))
        {
            Ok(certificate) => certificates.push(Arc::new(certificate)),
            Err(problem) => {
                let (reason, fix) = (problem.reason, problem.fix);
                fields.refuse_for(Why::SecretUnusable, "certificatesSecrets", reason, fix);
            }
        }
    }
    ClientIdentity::of(certificates)
}

/// The versions that are offered: what is asked for, of TLS 1.2 and 1.3.
fn versions(fields: &mut Fields<'_, '_, '_>) -> TlsVersions {
    let mut version = |key: &str| {
        let text = fields.text(key).filter(|text| !text.is_empty())?;
        let number = match text {
            "VersionTLS10" => Ok(10),
            "VersionTLS11" => Ok(11),
            "VersionTLS12" => Ok(12),
            "VersionTLS13" => Ok(13),
            _ => Err(format!("{} is not a version", quote(text))),
        };
        match number {
            Ok(number) => Some(number),
            Err(reason) => {
                fields.refuse(key, reason, "write VersionTLS12 or VersionTLS13");
                None
            }
        }
    };
    let (least, most) = (version("minVersion").unwrap_or(12), version("maxVersion").unwrap_or(13));
    match (least.max(12), most) {
        (12, 13) => TlsVersions::Both,
        (12, 12) => TlsVersions::Tls12,
        (13, 13) => TlsVersions::Tls13,
        _ => {
            let reason = "leaves no version: TLS 1.2 and 1.3 are offered, and nothing older";
            fields.refuse("maxVersion", reason, "write VersionTLS12 or VersionTLS13");
            TlsVersions::Both
        }
    }
}

/// Reads `forwardingTimeouts`. 0 is without a bound in Traefik, and as if it were not there here.
fn timeouts(fields: &mut Fields<'_, '_, '_>) -> Option<Timeouts> {
    let read = fields.below("forwardingTimeouts", |limits| {
        limits.know(&[
            "dialTimeout",
            "responseHeaderTimeout",
            "idleConnTimeout",
            "readIdleTimeout",
            "pingTimeout",
        ]);
        limits.tell("idleConnTimeout", "timeouts.upstream_idle is for all connections to pods");
        for key in ["readIdleTimeout", "pingTimeout"] {
            limits.tell(key, "the kernel watches for hosts that are gone");
        }
        let mut limit = |key: &str| {
            let limit = limits.duration(key).filter(|limit| !limit.is_zero());
            limit.map(|limit| limit.min(crate::config::MAX_DURATION).max(SHORTEST))
        };
        let (connect, response_head) = (limit("dialTimeout"), limit("responseHeaderTimeout"));
        Timeouts { connect, response_head, ..Timeouts::default() }
    })?;
    (read != Timeouts::default()).then_some(read)
}

/// The shortest timeout: the clock of deadlines is not finer.
const SHORTEST: Duration = Duration::from_millis(1);
