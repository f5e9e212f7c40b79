//! TLSOption (`traefik.io/v1alpha1`): what is asked of the clients of the hosts of a route.
//!
//! What cannot be done as written is done stricter: where no certificate can be verified as asked, none is accepted.

use super::clients::{ClientsRead, IssuerName};
use super::middleware::Fields;
use super::report::Report;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::quote::quote;
use crate::model::{Diagnostic, Kind, ObjectRef, Why};
use crate::pki::client_certificate::{BreakGlassAccess, Mode, Subjects};
use std::sync::Arc;

/// The TLSOption of all routes that name none, and the only TLSStore.
pub(super) const DEFAULT: &str = "default";

/// What was read of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TlsOptionRead {
    pub(super) clients: ClientsRead,
    /// Whether handshakes for names without a certificate are refused, where it is the default one.
    pub(super) is_strict: bool,
    /// The protocols that routes of connections agree on (ALPN), the one to prefer first.
    pub(super) protocols: Box<[Box<[u8]>]>,
}

/// The protocols without `alpnProtocols`. Traefik's third, of ACME, is for its own challenges.
pub(super) fn default_protocols() -> Box<[Box<[u8]>]> {
    [&b"h2"[..], b"http/1.1"].map(Into::into).into()
}

impl TlsOptionRead {
    /// Of one that cannot be used: no client is served.
    fn unusable() -> Self {
        let subjects = Subjects::default();
        // Not even in break-glass: what else it restricts is not known.
        let break_glass = BreakGlassAccess::Closed;
        let clients = ClientsRead { break_glass, ..ClientsRead::of(Mode::Require, None, subjects) };
        Self { clients, is_strict: true, protocols: default_protocols() }
    }
}

/// Reads one. Nothing where it does not exist.
pub(super) fn read(
    objects: &Objects,
    object: &ObjectRef,
    findings: &mut Vec<Diagnostic>,
) -> Option<TlsOptionRead> {
    let source = objects.traefik(Kind::TlsOption).get(&object.namespace, &object.name)?;
    Some(content(source, &object.namespace, &mut Report::new(object, findings)))
}

/// The default one: of several in different namespaces none counts, as in Traefik.
pub(super) fn default(objects: &Objects) -> Option<ObjectRef> {
    let all = objects.traefik(Kind::TlsOption).iter();
    let mut named = all.filter(|(_, name, _)| ***name == *DEFAULT);
    let (namespace, name, _) = named.next()?;
    let (namespace, name) = (Arc::clone(namespace), Arc::clone(name));
    named.next().is_none().then_some(ObjectRef { kind: Kind::TlsOption, namespace, name })
}

/// Reads one for what is wrong with it alone.
pub(super) fn check(source: &TraefikObject, report: &mut Report<'_>) {
    content(source, &Arc::default(), report);
}

fn content(source: &TraefikObject, namespace: &Arc<str>, report: &mut Report<'_>) -> TlsOptionRead {
    let mut fields = Fields::of_clients("spec", &source.spec, report);
    fields.know(&[
        "minVersion",
        "maxVersion",
        "cipherSuites",
        "curvePreferences",
        "clientAuth",
        "sniStrict",
        "alpnProtocols",
        "preferServerCipherSuites",
        "disableSessionTickets",
    ]);
    for (key, instead) in [
        ("maxVersion", "TLS 1.3 is always offered"),
        (
            "cipherSuites",
            "those of TLS 1.3, and those of TLS 1.2 with authenticated encryption, are offered",
        ),
        ("curvePreferences", "X25519MLKEM768, X25519, P-256 and P-384 are offered"),
        ("alpnProtocols", "routes of HTTP have HTTP/2 and HTTP/1.1, those of connections these"),
        ("preferServerCipherSuites", "the order of the server counts"),
        ("disableSessionTickets", "tickets are encrypted with keys that change"),
    ] {
        fields.tell(key, instead);
    }
    let tls13_only = match fields.text("minVersion") {
        None | Some("" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12") => false,
        Some("VersionTLS13") => true,
        Some(other) => {
            let reason = format!("{} is not a version", quote(other));
            fields.refuse("minVersion", reason, "write VersionTLS12 or VersionTLS13");
            true
        }
    };
    let is_strict = fields.flag("sniStrict");
    let protocols = protocols(&mut fields);
    let none = ClientsRead { tls13_only, ..ClientsRead::of(Mode::Off, None, Subjects::default()) };
    let asked = fields.below("clientAuth", |auth| client_auth(auth, namespace));
    match asked {
        _ if fields.is_broken() => TlsOptionRead::unusable(),
        None => TlsOptionRead { clients: none, is_strict, protocols },
        Some((mode, issuer)) => {
            let clients = ClientsRead { mode, issuer, ..none };
            TlsOptionRead { clients, is_strict, protocols }
        }
    }
}

/// Reads `alpnProtocols`. A name is of 1 to 255 bytes (RFC 7301 section 3.1).
fn protocols(fields: &mut Fields<'_, '_, '_>) -> Box<[Box<[u8]>]> {
    let names = fields.texts("alpnProtocols");
    if names.iter().any(|name| name.is_empty() || name.len() > 255) {
        fields.refuse("alpnProtocols", "has a name that is empty or too long", "correct it");
    }
    match names[..] {
        [] => default_protocols(),
        _ => names.into_iter().map(|name| name.as_bytes().into()).collect(),
    }
}

/// Reads `clientAuth`.
fn client_auth(
    fields: &mut Fields<'_, '_, '_>,
    namespace: &Arc<str>,
) -> (Mode, Option<IssuerName>) {
    fields.know(&["secretNames", "clientAuthType"]);
    let names = fields.texts("secretNames");
    let issuer = match names[..] {
        [] => None,
        [name] => Some(IssuerName::Secret(Some(Arc::clone(namespace)), name.into())),
        _ => {
            let reason = "has several Secrets, and the CA of one is used";
            fields.refuse_for(Why::Unsupported, "secretNames", reason, "put all CAs into one");
            None
        }
    };
    let mode = match fields.text("clientAuthType") {
        None | Some("" | "NoClientCert") => Mode::Off,
        Some("RequestClientCert") => Mode::Request,
        Some("VerifyClientCertIfGiven") => {
            let instead = "a certificate that is not good is treated as none";
            fields.tell("clientAuthType", instead);
            Mode::Request
        }
        Some("RequireAndVerifyClientCert") => Mode::Require,
        Some("RequireAnyClientCert") => {
            let reason = "asks for certificates that nobody verifies";
            let fix = "write RequireAndVerifyClientCert, and name the CA in secretNames";
            fields.refuse_for(Why::Unsupported, "clientAuthType", reason, fix);
            Mode::Require
        }
        Some(other) => {
            let reason = format!("{} is no way to ask for certificates", quote(other));
            let fix = "write NoClientCert, RequestClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert";
            fields.refuse("clientAuthType", reason, fix);
            Mode::Require
        }
    };
    if mode == Mode::Require && issuer.is_none() && !fields.is_broken() {
        let reason = "is missing, and no certificate can be verified";
        fields.refuse("secretNames", reason, "name the Secret with the CA");
    }
    (mode, issuer)
}
