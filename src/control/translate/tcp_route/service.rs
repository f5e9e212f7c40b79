//! `services` of a route: what they name, and how their pods are reached.

use crate::control::quote::quote;
use crate::control::translate::ingress_route::{port, reference, services_of};
use crate::control::translate::middleware::{Fields, Reference};
use crate::model::{Broken, PortKey, ProxyVersion, Severity, Why};

/// What a service is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control::translate) enum TcpTarget<'o> {
    /// A port of a Service.
    Port(Reference<'o>, PortKey),
    /// It cannot be used, which was told.
    Unusable(Broken),
}

/// One of `services`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control::translate) struct TcpServiceRead<'o> {
    /// Position in `services`.
    pub(in crate::control::translate) position: usize,
    pub(in crate::control::translate) target: TcpTarget<'o>,
    /// Its share of the connections.
    pub(in crate::control::translate) weight: u32,
    /// `tls`: whether its pods are spoken to with TLS.
    pub(in crate::control::translate) tls: bool,
    /// `serversTransport`, which counts in the place of `proxyProtocol`.
    pub(in crate::control::translate) transport: Option<&'o str>,
    pub(in crate::control::translate) proxy_protocol: Option<ProxyVersion>,
}

/// The services of a route.
pub(super) fn read<'o>(fields: &mut Fields<'o, '_, '_>) -> Vec<TcpServiceRead<'o>> {
    services_of(fields, "services", "spread the connections over fewer Services", one)
}

fn one<'o>(position: usize, fields: &mut Fields<'o, '_, '_>) -> TcpServiceRead<'o> {
    fields.know(&[
        "name",
        "namespace",
        "port",
        "weight",
        "tls",
        "proxyProtocol",
        "serversTransport",
        "terminationDelay",
        "nativeLB",
        "nodePortLB",
    ]);
    for (key, instead) in [
        ("nativeLB", "connections go to the addresses of pods"),
        ("nodePortLB", "connections go to the addresses of pods"),
        (
            "terminationDelay",
            "the other side may go on until timeouts.body_progress is over in silence",
        ),
    ] {
        fields.tell(key, instead);
    }
    let weight = fields.number("weight").unwrap_or(1);
    let weight = u32::try_from(weight.max(0)).unwrap_or(u32::MAX);
    let tls = fields.flag("tls");
    let transport = fields.text("serversTransport").filter(|name| !name.is_empty());
    let own = fields.below("proxyProtocol", proxy_protocol).flatten();
    if own.is_some() && transport.is_some() {
        let reason = "has no effect beside serversTransport, as in Traefik";
        fields.say("proxyProtocol", Severity::Warning, Why::Unsupported, reason, "move it there");
    }
    let target = target(fields);
    let target = match fields.is_broken() {
        true => TcpTarget::Unusable(Broken::Altered),
        false => target,
    };
    TcpServiceRead { position, target, weight, tls, transport, proxy_protocol: own }
}

/// Reads `proxyProtocol`.
pub(super) fn proxy_protocol(fields: &mut Fields<'_, '_, '_>) -> Option<ProxyVersion> {
    fields.know(&["version"]);
    match fields.number("version") {
        None | Some(0 | 2) => Some(ProxyVersion::V2),
        Some(1) => Some(ProxyVersion::V1),
        Some(other) => {
            let reason = format!("{other} is not a version of the PROXY protocol");
            fields.refuse("version", reason, "write 1 or 2");
            None
        }
    }
}

fn target<'o>(fields: &mut Fields<'o, '_, '_>) -> TcpTarget<'o> {
    let Some(named) = reference(fields, "add the `name` of a Service") else {
        return TcpTarget::Unusable(Broken::ServiceMissing);
    };
    if named.name.contains('@') {
        let reason = format!("{} is of a provider that is not read", quote(named.name));
        let fix = "write a Service, and name it without a provider";
        fields.refuse_for(Why::Unsupported, "name", reason, fix);
        return TcpTarget::Unusable(Broken::Unsupported);
    }
    match port(fields) {
        Some(port) => TcpTarget::Port(named, port),
        None => TcpTarget::Unusable(Broken::PortMissing),
    }
}
