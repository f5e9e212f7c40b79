//! ServersTransport (`traefik.io/v1alpha1`): TLS to the pods of a route.

use super::middleware::Fields;
use super::report::Report;
use super::secret;
use super::wanted::TransportTls;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::quote::quote;
use crate::model::{Diagnostic, Kind, ObjectRef, Why};
use crate::pki::ca_bundle::CaBundle;
use crate::pki::endpoint_tls::Trust;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::sync::Arc;

/// The keys that CAs are under: Traefik's own, and cert-manager's.
const AUTHORITIES: [&str; 2] = ["tls.ca", "ca.crt"];

/// The fields about TLS that both transports have.
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

/// What was read of one, with the Secrets that it depends on.
pub(super) struct TransportRead {
    /// `None`: it cannot be used, which was told.
    pub(super) tls: Option<TransportTls>,
    pub(super) secrets: Vec<Arc<str>>,
}

/// Reads one. Nothing where it does not exist.
pub(super) fn read(
    objects: &Objects,
    object: &ObjectRef,
    findings: &mut Vec<Diagnostic>,
) -> Option<TransportRead> {
    let source = objects.traefik(Kind::ServersTransport).get(&object.namespace, &object.name)?;
    let mut report = Report::new(object, findings);
    Some(content(source, Some((objects, &object.namespace)), &mut report))
}

/// Reads one for what is wrong with it alone.
pub(super) fn check(source: &TraefikObject, report: &mut Report<'_>) {
    content(source, None, report);
}

fn content(
    source: &TraefikObject,
    within: Option<(&Objects, &Arc<str>)>,
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
    for (key, instead) in [
        ("maxIdleConnsPerHost", "as many connections are kept as are of use"),
        ("forwardingTimeouts", "timeouts are those of the configuration and of the annotations"),
        ("disableHTTP2", "pods choose by ALPN"),
        ("cipherSuites", "those of TLS 1.3 and the strong ones of TLS 1.2 are offered"),
        ("minVersion", "TLS 1.2 and 1.3 are offered"),
        ("maxVersion", "TLS 1.2 and 1.3 are offered"),
    ] {
        fields.tell(key, instead);
    }
    let read = read_tls(&mut fields, within);
    if fields.is_broken() { TransportRead { tls: None, ..read } } else { read }
}

/// Reads [`TLS_FIELDS`], which are known.
pub(super) fn read_tls(
    fields: &mut Fields<'_, '_, '_>,
    within: Option<(&Objects, &Arc<str>)>,
) -> TransportRead {
    for key in ["certificatesSecrets", "peerCertURI", "peerCertSANs", "spiffe"] {
        if fields.get(key).is_some() {
            let reason = "is not supported: no certificate is presented to pods, and theirs are verified by name";
            fields.refuse_for(Why::Unsupported, key, reason, "remove it");
        }
    }
    let server_name = fields.text("serverName").filter(|name| !name.is_empty());
    let server_name = server_name.and_then(|name| {
        let read = ServerName::try_from(name.to_owned()).map_err(|_| "is not a name".to_owned());
        fields.parse("serverName", name, read, "write the name in the certificate")
    });
    let mut secrets = Vec::new();
    let trust = trust(fields, within, &mut secrets);
    TransportRead { tls: Some(TransportTls { server_name, trust }), secrets }
}

fn trust(
    fields: &mut Fields<'_, '_, '_>,
    within: Option<(&Objects, &Arc<str>)>,
    secrets: &mut Vec<Arc<str>>,
) -> Trust {
    let names = authorities(fields);
    if fields.flag("insecureSkipVerify") {
        let reason = "is true: the certificates of pods are not verified";
        fields.warn("insecureSkipVerify", reason, "name their CA in rootCAs");
        return Trust::Anybody;
    }
    secrets.extend(names.iter().map(|name| Arc::from(*name)));
    let (Some((objects, namespace)), [first, ..]) = (within, &names[..]) else {
        return Trust::Public;
    };
    let mut pem = Vec::new();
    for name in &names {
        let found = objects.secrets().get(namespace, name);
        let of = |secret| AUTHORITIES.iter().find_map(|key| secret::value(secret, key));
        match found.and_then(|secret| of(secret)) {
            Some(value) => {
                pem.extend_from_slice(value);
                pem.push(b'\n');
            }
            None => {
                let reason = match found {
                    None => format!("there is no Secret {} in namespace {namespace}", quote(name)),
                    Some(_) => format!("Secret {} has neither tls.ca nor ca.crt", quote(name)),
                };
                let fix = "create one with the CA in PEM under the key tls.ca";
                fields.refuse_for(Why::SecretUnusable, "rootCAs", reason, fix);
            }
        }
    }
    let authorities = CaBundle::from_pem(&pem);
    if let (Err(error), false) = (&authorities, fields.is_broken()) {
        let reason = format!("of Secret {}: {error}", quote(first));
        fields.refuse_for(Why::SecretUnusable, "rootCAs", reason, "put the CA into it, as PEM");
    }
    Trust::Secret { name: (*first).into(), authorities: authorities.ok() }
}

/// The Secrets with CAs, by the new field and the old one.
fn authorities<'o>(fields: &mut Fields<'o, '_, '_>) -> Vec<&'o str> {
    let mut names = fields.texts("rootCAsSecrets");
    let items = fields.get("rootCAs").and_then(Value::as_array);
    for (position, item) in items.into_iter().flatten().enumerate() {
        match item.get("secret").and_then(Value::as_str) {
            Some(name) => names.push(name),
            None => {
                let reason = "names no Secret, and CAs are not read from a ConfigMap";
                let place = format!("rootCAs[{position}]");
                fields.refuse_for(Why::Unsupported, &place, reason, "put the CA into a Secret");
            }
        }
    }
    names
}
