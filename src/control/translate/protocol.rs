//! What is spoken with the endpoints of a Service port.
//!
//! The first of these that says something: the annotation `ravelin.dev/upstream-protocol`, Traefik's
//! `service.serversscheme`, `appProtocol` (KEP-3726), and, as with Traefik, https for the port 443
//! and for names that begin with `https`. Over TLS the certificate is verified, unless the Service
//! says that it is not to be. A mistake in one of these leaves its ports without a protocol, and
//! they answer 503: a typing mistake must not downgrade from TLS.

use super::annotations::{Annotations, field};
use super::external_name;
use super::names::ServiceName;
use super::report::{Problem, Report};
use super::secret;
use super::wanted::{AskedScheme, Wanted};
use crate::control::objects::Objects;
use crate::control::quote::quote;
use crate::model::{Protocol, Severity, Why};
use crate::pki::ca_bundle::CaBundle;
use crate::pki::endpoint_tls::{Alpn, TlsDetails, TlsSettings, Trust};
use k8s_openapi::api::core::v1::{Secret, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// `http`, `h2c`, `https`, `grpc` (h2c) or `grpcs` (https with HTTP/2 and nothing else).
pub(super) const PROTOCOL: &str = "ravelin.dev/upstream-protocol";
/// Name of a Secret in the Service's namespace, whose `ca.crt` has the CAs.
pub(super) const CA: &str = "ravelin.dev/upstream-ca";
/// The name in SNI and in the certificate; default: `service.namespace.svc`, or the external name.
pub(super) const SERVER_NAME: &str = "ravelin.dev/upstream-server-name";
/// `"true"`: every certificate is taken.
pub(super) const INSECURE: &str = "ravelin.dev/upstream-tls-insecure";

/// Traefik's word for the same.
pub(super) const TRAEFIK_SCHEME: &str = "traefik.ingress.kubernetes.io/service.serversscheme";

/// The Secret with the CAs of a Service.
pub(in crate::control) fn authorities_of(metadata: &ObjectMeta) -> Option<&str> {
    Annotations::of(metadata).get(CA)
}

/// What is spoken on a port, without what the Service says of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    H2c,
    Grpc,
    Https(Alpn),
}

/// A Secret with CAs as it was read last: it is not read again for each change of an
/// EndpointSlice.
#[derive(Debug, Default)]
pub(super) struct LastRead {
    secret: Option<(Arc<Secret>, Result<CaBundle, Problem>)>,
    /// The Secret that the Service names, there or not.
    pub(super) name: Option<Arc<str>>,
}

/// The words of one Service about all of its ports.
pub(super) struct Words {
    /// From the annotations; `Err` if it is unknown.
    scheme: Result<Option<Scheme>, ()>,
    /// `Err` if there is a mistake in one of the annotations.
    tls: Result<TlsSettings, ()>,
    /// What to say if a port has TLS.
    of_tls: Vec<(&'static str, Problem)>,
}

impl Words {
    /// Reads the annotations of a Service, and the Secret that they name.
    pub(super) fn read(
        objects: &Objects,
        key: ServiceName<'_>,
        service: &Service,
        last: &mut LastRead,
        report: &mut Report<'_>,
    ) -> Self {
        let annotations = Annotations::of(&service.metadata);
        let mut of_tls = Vec::new();
        let scheme = scheme(annotations, report);
        let default = match external_name::of(service).and_then(external_name::parse) {
            Some(external) => external.to_string(),
            None => format!("{}.{}.svc", key.name, key.namespace),
        };
        let server_name = server_name(annotations, default, report);
        let trust = trust(annotations, objects, key.namespace, last, &mut of_tls, report);
        if let (Ok(Trust::Public), None, None) =
            (&trust, annotations.get(SERVER_NAME), external_name::of(service))
        {
            let reason =
                "is missing, and no public CA issues certificates for names in the cluster";
            let fix = format!("name a Secret with the CA, or set {SERVER_NAME}");
            of_tls.push((CA, warning(reason, fix)));
        }
        let tls = server_name.and_then(|server_name| {
            let details = TlsDetails::default();
            Ok(TlsSettings { server_name, trust: trust?, alpn: Alpn::Either, details })
        });
        Self { scheme, tls, of_tls }
    }

    /// What is spoken on a port. `None` if that cannot be told, which has been reported.
    ///
    /// What a route asks for comes before the words of the Service.
    pub(super) fn of(&self, port: &ServicePort, wanted: &Wanted) -> Option<Protocol> {
        let asked = match wanted.scheme {
            None => self.scheme.ok()?,
            Some(AskedScheme::Http | AskedScheme::Tcp) => Some(Scheme::Http),
            Some(AskedScheme::H2c) => Some(Scheme::H2c),
            Some(AskedScheme::Https) => Some(Scheme::Https(Alpn::Either)),
            Some(AskedScheme::Tls) => Some(Scheme::Https(Alpn::None)),
        };
        match asked.or_else(|| by_app_protocol(port)).unwrap_or_else(|| by_port(port)) {
            Scheme::Http => Some(Protocol::Http),
            Scheme::H2c => Some(Protocol::H2c),
            Scheme::Grpc => Some(Protocol::Grpc),
            Scheme::Https(alpn) => {
                let tls = self.tls.clone().ok()?;
                let settings = match &wanted.tls {
                    None => TlsSettings { alpn, ..tls },
                    Some(own) => TlsSettings {
                        server_name: own.server_name.clone().unwrap_or(tls.server_name),
                        trust: own.trust.clone(),
                        alpn: if own.over_http1 { Alpn::Http1 } else { alpn },
                        details: own.details.clone(),
                    },
                };
                Some(Protocol::Https(Arc::new(settings)))
            }
        }
    }

    /// Says what there is to say of TLS, where a port has it.
    pub(super) fn report_tls(self, report: &mut Report<'_>) {
        for (annotation, problem) in self.of_tls {
            report.add(&field(annotation), problem);
        }
    }
}

fn warning(reason: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem::error(Why::UpstreamTls, "", reason, fix).with(Severity::Warning)
}

/// Reports a mistake that leaves ports without a protocol.
fn refuse(report: &mut Report<'_>, annotation: &str, problem: Problem) {
    let fix = format!("{}; until then requests get 503", problem.fix);
    report.add(&field(annotation), Problem { fix, ..problem });
}

fn scheme(annotations: Annotations<'_>, report: &mut Report<'_>) -> Result<Option<Scheme>, ()> {
    let https = Scheme::Https(Alpn::Either);
    let ours = [
        ("http", Scheme::Http),
        ("h2c", Scheme::H2c),
        ("https", https),
        ("grpc", Scheme::Grpc),
        ("grpcs", Scheme::Https(Alpn::Http2)),
    ];
    let traefiks = [("http", Scheme::Http), ("h2c", Scheme::H2c), ("https", https)];
    for (annotation, words) in [(PROTOCOL, &ours[..]), (TRAEFIK_SCHEME, &traefiks)] {
        match annotations.word(annotation, words) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(problem) => {
                refuse(report, annotation, problem);
                return Err(());
            }
        }
    }
    Ok(None)
}

/// KEP-3726 has the names with `kubernetes.io/`; those without are IANA's, or in wide use.
fn by_app_protocol(port: &ServicePort) -> Option<Scheme> {
    match port.app_protocol.as_deref()? {
        "http" | "kubernetes.io/ws" => Some(Scheme::Http),
        "kubernetes.io/h2c" | "h2c" => Some(Scheme::H2c),
        "grpc" => Some(Scheme::Grpc),
        "https" => Some(Scheme::Https(Alpn::Either)),
        // The opening handshake of RFC 6455 is one of HTTP/1.1.
        "kubernetes.io/wss" => Some(Scheme::Https(Alpn::Http1)),
        _ => None,
    }
}

fn by_port(port: &ServicePort) -> Scheme {
    let name = port.name.as_deref().unwrap_or_default();
    if port.port == 443 || name.starts_with("https") {
        Scheme::Https(Alpn::Either)
    } else {
        Scheme::Http
    }
}

fn server_name(
    annotations: Annotations<'_>,
    default: String,
    report: &mut Report<'_>,
) -> Result<ServerName<'static>, ()> {
    let written = annotations.get(SERVER_NAME);
    let text = written.map_or(default, str::to_owned);
    ServerName::try_from(text).map_err(|_| {
        // The Service's own name is none only if the API server would refuse the Service.
        let reason = match written {
            Some(written) => format!("{} is not a host name or an address", quote(written)),
            None => "is missing, and the Service's own name is not a host name".to_owned(),
        };
        refuse(
            report,
            SERVER_NAME,
            Problem::invalid("", reason, "write the name in the certificate"),
        );
    })
}

fn trust(
    annotations: Annotations<'_>,
    objects: &Objects,
    namespace: &str,
    last: &mut LastRead,
    of_tls: &mut Vec<(&'static str, Problem)>,
    report: &mut Report<'_>,
) -> Result<Trust, ()> {
    let insecure =
        annotations.switch(INSECURE).map_err(|problem| refuse(report, INSECURE, problem))?;
    let insecure = insecure.unwrap_or(false);
    last.name = annotations.get(CA).map(Arc::from);
    let Some(name) = last.name.clone() else {
        last.secret = None;
        if !insecure {
            return Ok(Trust::Public);
        }
        let reason = "is \"true\": the certificates of the endpoints are not verified";
        let fix = format!("name the CA with {CA}");
        of_tls.push((INSECURE, warning(reason, fix)));
        return Ok(Trust::Anybody);
    };
    if insecure {
        let reason = format!("has no effect together with {CA}");
        of_tls.push((INSECURE, warning(reason, "remove it")));
    }
    let authorities = match last.read(objects, namespace, &name) {
        Ok(authorities) => Some(authorities),
        Err(problem) => {
            let fix = format!(
                "{}; until then the last good value is used, or requests get 503",
                problem.fix
            );
            of_tls.push((CA, Problem { fix, ..problem }));
            None
        }
    };
    Ok(Trust::Secret { name, authorities })
}

impl LastRead {
    fn read(
        &mut self,
        objects: &Objects,
        namespace: &str,
        name: &str,
    ) -> Result<CaBundle, Problem> {
        let Some(now) = objects.secrets().get(namespace, name) else {
            self.secret = None;
            return secret::read_ca_bundle(namespace, name, None);
        };
        match &self.secret {
            Some((before, read)) if Arc::ptr_eq(before, now) => read.clone(),
            _ => {
                let read = secret::read_ca_bundle(namespace, name, Some(now));
                self.secret = Some((Arc::clone(now), read.clone()));
                read
            }
        }
    }
}
