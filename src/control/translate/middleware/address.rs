//! Addresses of servers that steps ask: a Service of the cluster, whose endpoints are known without DNS, or a server of
//! its own.

use super::{Context, Fields, OwnBackend};
use crate::control::quote::quote;
use crate::control::translate::{external_name, secret};
use crate::model::{
    BackendKey, BackendState, EndpointSpec, EndpointState, ExternalName, Kind, PortKey, Protocol,
    Why,
};
use crate::net::addr::EndpointAddr;
use crate::pki::ca_bundle::CaBundle;
use crate::pki::endpoint_tls::{Alpn, TlsDetails, TlsSettings, Trust};
use http::Uri;
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::sync::Arc;

/// The keys that CAs are under: cert-manager's, and Traefik's own.
const AUTHORITIES: [&str; 2] = ["ca.crt", "tls.ca"];

/// An address.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) uri: Uri,
    /// As it is written: the value of `Host`.
    pub(super) authority: String,
    is_secure: bool,
    host: Host,
    port: u16,
}

#[derive(Debug)]
enum Host {
    Ip(IpAddr),
    Name(Arc<str>),
}

impl Address {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let none = || "is not an address".to_owned();
        let uri: Uri = text.parse().map_err(|_| none())?;
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("does not begin with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or_else(none)?;
        if authority.as_str().contains('@') {
            return Err("has a user in it".to_owned());
        }
        let host = authority.host();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let host = match literal.parse::<IpAddr>() {
            Ok(address) => Host::Ip(address),
            Err(_) => Host::Name(external_name::parse(host).ok_or_else(none)?),
        };
        let port = match authority.port_u16() {
            Some(0) => return Err(none()),
            Some(port) => port,
            None if authority.port().is_some() => return Err(none()),
            None if is_secure => 443,
            None => 80,
        };
        let authority = authority.as_str().to_owned();
        Ok(Self { uri, authority, is_secure, host, port })
    }
}

/// What a host may be in the cluster: namespace and name of a Service, and whether it can be nothing else.
fn service_of(host: &str, namespace: &Arc<str>) -> Option<(Arc<str>, Arc<str>, bool)> {
    let labels: Vec<&str> = host.split('.').collect();
    match labels[..] {
        [name] => Some((Arc::clone(namespace), name.into(), true)),
        [name, namespace] => Some((namespace.into(), name.into(), false)),
        [name, namespace, "svc"] | [name, namespace, "svc", "cluster", "local"] => {
            Some((namespace.into(), name.into(), true))
        }
        _ => None,
    }
}

/// The port of a Service that a host and port name, if there is such a Service, or can be nothing else.
pub(super) fn service_port(host: &str, port: u16, context: &mut Context<'_>) -> Option<BackendKey> {
    let (namespace, service, is_certain) = service_of(host, context.namespace)?;
    let need = (Kind::Service, (Arc::clone(&namespace), Arc::clone(&service)));
    let is_there = context
        .objects
        .is_some_and(|objects| objects.services().get(&namespace, &service).is_some());
    context.needs.insert(need);
    let key = BackendKey { namespace, service, port: PortKey::Number(port), variant: None };
    (is_there || is_certain).then_some(key)
}

/// The backend of an address. One of its own is noted in the context.
pub(super) fn backend(
    address: &Address,
    trust: Option<Trust>,
    context: &mut Context<'_>,
) -> BackendKey {
    let Address { is_secure, host, port, .. } = address;
    if let (Host::Name(name), false) = (host, *is_secure)
        && let Some(key) = service_port(name, *port, context)
    {
        return key;
    }
    let key = BackendKey {
        namespace: Arc::clone(context.namespace),
        service: format!("Middleware/{}", context.name).into(),
        port: PortKey::Number(*port),
        variant: None,
    };
    let state = match host {
        Host::Name(name) => {
            BackendState::Named(ExternalName { name: Arc::clone(name), port: *port })
        }
        Host::Ip(ip) => BackendState::Resolved(Arc::new([EndpointSpec {
            addr: EndpointAddr::new(*ip, *port),
            state: EndpointState::Ready,
            node: None,
            zone: None,
            near: false,
        }])),
    };
    let protocol = match (is_secure, server_name(host)) {
        (true, Some(server_name)) => {
            let trust = trust.unwrap_or(Trust::Public);
            let (alpn, details) = (Alpn::Either, TlsDetails::default());
            Protocol::Https(Arc::new(TlsSettings { server_name, trust, alpn, details }))
        }
        _ => Protocol::Http,
    };
    context.backend = Some(OwnBackend { key: key.clone(), state, protocol });
    key
}

fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Ip(address) => Some(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
    }
}

/// Reads `tls`: which certificates of the server are trusted.
pub(super) fn trust(fields: &mut Fields<'_, '_, '_>, context: &mut Context<'_>) -> Option<Trust> {
    fields.below("tls", |tls| {
        tls.know(&["caSecret", "caOptional", "certSecret", "insecureSkipVerify"]);
        if tls.text("certSecret").is_some_and(|name| !name.is_empty()) {
            let reason = "is not supported: no certificate is presented to the server";
            tls.refuse_for(Why::Unsupported, "certSecret", reason, "remove it");
        }
        if tls.flag("insecureSkipVerify") {
            let reason = "is true: the certificate of the server is not verified";
            tls.warn("insecureSkipVerify", reason, "name its CA in caSecret");
            return Some(Trust::Anybody);
        }
        let name = tls.text("caSecret").filter(|name| !name.is_empty())?;
        let authorities = authorities(tls, context, name);
        Some(Trust::Secret { name: name.into(), authorities })
    })?
}

fn authorities(
    tls: &mut Fields<'_, '_, '_>,
    context: &mut Context<'_>,
    name: &str,
) -> Option<CaBundle> {
    let found = context.secret(name)?;
    let shown = quote(name);
    let read = match &found {
        None => Err(format!("there is no Secret {shown} in namespace {}", context.namespace)),
        Some(found) => match AUTHORITIES.iter().find_map(|key| secret::value(found, key)) {
            None => Err(format!("Secret {shown} has no {}", AUTHORITIES[0])),
            Some(pem) => {
                CaBundle::from_pem(pem).map_err(|what| format!("the CA in Secret {shown} {what}"))
            }
        },
    };
    read.map_err(|reason| {
        let fix = "create one with the CA in PEM under the key ca.crt";
        tls.refuse_for(Why::SecretUnusable, "caSecret", reason, fix);
    })
    .ok()
}
