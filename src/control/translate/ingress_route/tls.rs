//! `tls` of an IngressRoute: which certificate is presented for its hosts.

use super::{RouteRead, place, service};
use crate::control::objects::TraefikObject;
use crate::control::translate::fields;
use crate::control::translate::ingress::TlsRead;
use crate::control::translate::middleware::{self, Fields, Reference};
use crate::control::translate::report::Report;
use crate::model::{HostPattern, Kind, Severity, Why};
use serde_json::Value;

/// What was read of it.
pub(in crate::control::translate) struct RouteTls<'o> {
    /// The certificate, if one is named.
    pub(in crate::control::translate) certificate: Option<TlsRead<'o>>,
    /// The TLSOption, if one is named.
    pub(in crate::control::translate) option: Option<Reference<'o>>,
    /// Whether something in it is not understood.
    pub(in crate::control::translate) is_broken: bool,
}

/// Reads it. `hosts` are those of the routes, to which those of `domains` are added.
pub(super) fn read<'o>(
    spec: &'o Value,
    hosts: &mut Vec<HostPattern>,
    report: &mut Report<'_>,
) -> Option<RouteTls<'o>> {
    let tls = spec.get("tls").filter(|tls| !tls.is_null())?;
    let mut fields = Fields::of_routes("spec.tls", tls, report);
    fields.know(&["secretName", "certResolver", "domains", "options", "store"]);
    fields.refuse_misspelt("options");
    Some(content(&mut fields, hosts))
}

/// Reads the fields of certificate and options, which are known.
pub(in crate::control::translate) fn content<'o>(
    fields: &mut Fields<'o, '_, '_>,
    hosts: &mut Vec<HostPattern>,
) -> RouteTls<'o> {
    hosts.extend(domains(fields).into_iter().filter(is_name));
    hosts.sort_unstable();
    hosts.dedup();
    // No certificate is asked for by an address.
    let names: Vec<HostPattern> = hosts.iter().filter(|host| is_name(host)).cloned().collect();
    let secret_name = fields.text("secretName").filter(|name| !name.is_empty());
    if fields.text("certResolver").is_some_and(|name| !name.is_empty()) {
        resolver(fields, secret_name.is_some(), &names);
    }
    let option = fields.below("options", |option| {
        option.know(&["name", "namespace"]);
        service::reference(option, "name a TLSOption")
    });
    let certificate =
        secret_name.map(|secret_name| TlsRead { position: 0, secret_name, hosts: names });
    let is_broken = fields.is_broken();
    RouteTls { certificate, option: option.flatten(), is_broken }
}

/// Whether it is the name of a host, and neither an address nor all hosts.
fn is_name(host: &HostPattern) -> bool {
    *host != HostPattern::Any
        && matches!(HostPattern::parse(Some(&host.to_string())), Ok(read) if read == *host)
}

/// The hosts that routes name, sorted, each once. [`HostPattern::Any`] is not among them.
pub(super) fn hosts(routes: &[RouteRead<'_>]) -> Vec<HostPattern> {
    let placed = routes.iter().flat_map(|route| &route.places);
    let of_place = |placed: &super::Placed| match &placed.ordered {
        Some(ordered) => place::hosts(&ordered.condition).unwrap_or_default(),
        None => vec![placed.host.clone()],
    };
    let mut hosts: Vec<HostPattern> = placed.flat_map(of_place).collect();
    hosts.retain(|host| *host != HostPattern::Any);
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// The hosts of `domains`.
fn domains(fields: &mut Fields<'_, '_, '_>) -> Vec<HostPattern> {
    let items = fields.get("domains").and_then(Value::as_array);
    let names = items.into_iter().flatten().flat_map(|domain| {
        let main = domain.get("main").into_iter();
        let others = domain.get("sans").and_then(Value::as_array).into_iter().flatten();
        main.chain(others).filter_map(Value::as_str)
    });
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    names.into_iter().filter_map(|name| fields::host(Some(name)).ok()).collect()
}

/// No certificate is requested from an authority: another one has to be there.
fn resolver(fields: &mut Fields<'_, '_, '_>, has_secret: bool, hosts: &[HostPattern]) {
    if has_secret {
        fields.tell("certResolver", "the certificate of secretName is presented");
        return;
    }
    let names: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
    let reason = "has no meaning here: no certificate is requested. One that covers the hosts and is there anyway is \
                  presented";
    let fix = format!(
        "have cert-manager make one, and name its Secret in spec.tls.secretName: {{apiVersion: cert-manager.io/v1, \
         kind: Certificate, metadata: {{name: NAME}}, spec: {{secretName: NAME, dnsNames: [{}], issuerRef: {{kind: \
         ClusterIssuer, name: ISSUER}}}}}}",
        names.join(", ")
    );
    fields.say("certResolver", Severity::Warning, Why::Unsupported, reason, fix);
}

/// The Secrets that an object of Traefik names, in its namespace, and whether all of their keys are read.
pub(in crate::control) fn secrets_of(object: &TraefikObject) -> Vec<&str> {
    let spec = &object.spec;
    let at = |places: &[&str]| -> Vec<&str> {
        places.iter().filter_map(|place| spec.pointer(place)?.as_str()).collect()
    };
    let list = |place: &str| spec.pointer(place).and_then(Value::as_array).into_iter().flatten();
    let mut named = match object.kind {
        Kind::Middleware => middleware::secrets_of(spec),
        Kind::IngressRoute | Kind::IngressRouteTcp => at(&["/tls/secretName"]),
        Kind::TlsStore => {
            let mut named = at(&["/defaultCertificate/secretName"]);
            let more = list("/certificates").filter_map(|one| one.get("secretName")?.as_str());
            named.extend(more);
            named
        }
        Kind::TlsOption => list("/clientAuth/secretNames").filter_map(Value::as_str).collect(),
        Kind::ServersTransport | Kind::ServersTransportTcp => {
            let below = if object.kind == Kind::ServersTransportTcp { "/tls" } else { "" };
            let list = |key: &str| list(&format!("{below}{key}"));
            let of_roots = list("/rootCAs").filter_map(|one| one.get("secret")?.as_str());
            let old = list("/rootCAsSecrets").chain(list("/certificatesSecrets"));
            of_roots.chain(old.filter_map(Value::as_str)).collect()
        }
        _ => Vec::new(),
    };
    named.retain(|name| !name.is_empty());
    named
}
