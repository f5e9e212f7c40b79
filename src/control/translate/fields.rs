//! Single fields of the objects, read and checked by the rules of the API server.

use super::foreign::place_of_expression;
use super::report::Problem;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::model::{Broken, HostPattern, PathKind, PathPattern, PortKey, Severity, Why};
use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, IngressBackend, IngressServiceBackend, ServiceBackendPort,
};

/// A backend as its rule names it.
#[derive(Clone)]
pub(super) enum BackendRead<'i> {
    Service {
        name: &'i str,
        port: PortKey,
    },
    /// Reported already.
    Broken {
        service: String,
        broken: Broken,
    },
}

impl BackendRead<'_> {
    /// The same, not served for this cause.
    pub(super) fn broken_if(self, broken: Option<Broken>) -> Self {
        match (self, broken) {
            (Self::Service { name, .. }, Some(broken)) => {
                Self::Broken { service: name.to_owned(), broken }
            }
            (read, _) => read,
        }
    }
}

/// Whether a `protocol` is the one that HTTP needs, which is also the default.
pub(super) fn is_tcp(protocol: Option<&str>) -> bool {
    matches!(protocol, None | Some("" | "TCP"))
}

/// Reads a port number.
pub(super) fn port(number: i32) -> Result<u16, Problem> {
    u16::try_from(number).ok().filter(|&port| port != 0).ok_or_else(|| {
        Problem::invalid(
            "",
            format!("{number} is not a port number"),
            "use a number from 1 to 65535",
        )
    })
}

/// Reads `spec.rules[].host`.
pub(super) fn host(host: Option<&str>) -> Result<HostPattern, Problem> {
    HostPattern::parse(host).map_err(|reason| {
        let reason = format!("{} {reason}", quote(host.unwrap_or_default()));
        let fix = "write a DNS name, or `*.` before one, or leave it out to mean every host";
        Problem::invalid("", reason, fix)
    })
}

const PATH_TYPES: [&str; 3] = ["Exact", "Prefix", "ImplementationSpecific"];

/// Sequences and ends that the API server refuses in Exact and Prefix paths
/// (`invalidPathSequences` and `invalidPathSuffixes` of its Ingress validation): what two servers
/// could read differently.
const REFUSED_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const REFUSED_SUFFIXES: [&str; 2] = ["/..", "/."];

/// What regular expressions are made of and paths are not.
const REGEX_SIGNS: [&str; 6] = ["(", "|", "$", "^", ".*", "\\"];

/// Reads `pathType` and `path`. A warning beside the result is about a path that is served,
/// possibly not as intended. `expressions`: whether it may be a regular expression, whose place is at what is
/// plain before it.
pub(super) fn path(
    path: &HTTPIngressPath,
    expressions: bool,
) -> (Result<PathPattern, Problem>, Option<Problem>) {
    let HTTPIngressPath { backend: _, path, path_type } = path;
    let specific = path_type == "ImplementationSpecific";
    let kind = match path_type.as_str() {
        "Exact" => PathKind::Exact,
        "Prefix" | "ImplementationSpecific" => PathKind::Prefix,
        "" => {
            let fix = "add `pathType: Prefix`";
            return (Err(Problem::invalid("pathType", "is missing", fix)), None);
        }
        other => {
            let reason = format!("{} is not a path type", quote(other));
            let fix = match nearest(other, PATH_TYPES) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("use one of {}", PATH_TYPES.join(", ")),
            };
            return (Err(Problem::invalid("pathType", reason, fix)), None);
        }
    };
    let text = match path.as_deref().unwrap_or_default() {
        "" if specific => "/",
        text => text,
    };
    let place = expressions.then(|| place_of_expression(text)).flatten();
    let kind = if place.is_some() { PathKind::Prefix } else { kind };
    let text = place.as_deref().unwrap_or(text);
    let pattern = check_path(text, specific).and_then(|()| {
        PathPattern::new(kind, text).map_err(|error| {
            let reason = format!("{} cannot match any request: {error}", quote(text));
            Problem::invalid("path", reason, "write the path as in a URL")
        })
    });
    let regex = specific && REGEX_SIGNS.iter().any(|sign| text.contains(sign));
    let warning = (regex && pattern.is_ok()).then(|| {
        let reason = format!(
            "{} looks like a regular expression, but is matched as a plain prefix",
            quote(text)
        );
        let fix = "write the part before the expression; paths are compared element by element";
        Problem::error(Why::Unsupported, "path", reason, fix).with(Severity::Warning)
    });
    (pattern, warning)
}

fn check_path(text: &str, specific: bool) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::invalid("path", "is missing", "write `/` for all paths"));
    }
    if !text.starts_with('/') {
        let reason = format!("{} does not begin with a slash", quote(text));
        return Err(Problem::invalid(
            "path",
            reason,
            format!("write {}", quote(&format!("/{text}"))),
        ));
    }
    if specific {
        return Ok(());
    }
    let sequence = REFUSED_SEQUENCES.iter().find(|sequence| text.contains(**sequence));
    let suffix = REFUSED_SUFFIXES.iter().find(|suffix| text.ends_with(**suffix));
    match sequence.or(suffix) {
        None => Ok(()),
        Some(part) => Err(Problem::invalid(
            "path",
            format!("{} must not contain `{part}`", quote(text)),
            "write the resolved path",
        )),
    }
}

/// Reads a backend. An invalid one keeps its place, as broken.
pub(super) fn backend(backend: &IngressBackend) -> (BackendRead<'_>, Option<Problem>) {
    let IngressBackend { resource, service } = backend;
    match (service, resource) {
        (Some(service), None) => match service_port(service) {
            Ok(port) => (BackendRead::Service { name: &service.name, port }, None),
            Err((broken, problem)) => {
                (BackendRead::Broken { service: service.name.clone(), broken }, Some(problem))
            }
        },
        (None, Some(resource)) => {
            let service = resource_name(resource);
            let reason = format!("{} is not a Service", quote(&service));
            let fix = "use `service`; until then requests get 503";
            let problem = Problem::error(Why::Unsupported, "resource", reason, fix);
            (BackendRead::Broken { service, broken: Broken::Unsupported }, Some(problem))
        }
        (Some(_), Some(resource)) => {
            let problem =
                Problem::invalid("", "has both `service` and `resource`", "remove `resource`");
            let service = resource_name(resource);
            (BackendRead::Broken { service, broken: Broken::Unsupported }, Some(problem))
        }
        (None, None) => {
            let fix = "add `service.name` and `service.port.number`";
            let problem = Problem::invalid("", "names no Service", fix);
            let broken = Broken::ServiceMissing;
            (BackendRead::Broken { service: String::new(), broken }, Some(problem))
        }
    }
}

fn resource_name(resource: &TypedLocalObjectReference) -> String {
    let TypedLocalObjectReference { api_group: _, kind, name } = resource;
    format!("{kind}/{name}")
}

fn service_port(service: &IngressServiceBackend) -> Result<PortKey, (Broken, Problem)> {
    let IngressServiceBackend { name, port: key } = service;
    let problem = |field, reason: &str, fix: &str| Problem::invalid(field, reason, fix);
    if name.is_empty() {
        let problem = problem("service.name", "is missing", "name a Service of the same namespace");
        return Err((Broken::ServiceMissing, problem));
    }
    let (name, number) = match key {
        None => (None, None),
        Some(ServiceBackendPort { name, number }) => (name.as_deref(), *number),
    };
    match (name.filter(|name| !name.is_empty()), number) {
        (Some(name), None | Some(0)) => Ok(PortKey::Name(name.into())),
        (None, Some(number)) => port(number).map(PortKey::Number).map_err(|problem| {
            (Broken::PortMissing, Problem { field: "service.port.number", ..problem })
        }),
        (Some(_), Some(_)) => Err((
            Broken::PortMissing,
            problem("service.port", "has both `name` and `number`", "remove one of the two"),
        )),
        (None, None) => Err((
            Broken::PortMissing,
            problem(
                "service.port",
                "is missing",
                "add `number` or `name` of a port of the Service",
            ),
        )),
    }
}
