//! Service ports to backends: each port that an Ingress names, once, with its endpoints.

use super::annotations::Annotations;
use super::external_name;
use super::fields;
use super::foreign::{self, Subject};
use super::health_check;
use super::limits;
use super::names::{Names, ServiceName};
use super::near::Here;
use super::pass_host;
use super::protocol::{LastRead, Words};
use super::report::{Problem, Report, UNSERVED, leave_out_details};
use super::wanted::Wanted;
use super::{balancing, endpoint_slice};
use crate::control::objects::Objects;
use crate::control::quote::quote;
use crate::model::{
    BackendState, Balancing, Broken, Diagnostic, ExternalName, Kind, ObjectRef, PortKey, Prefer,
    Protocol, Severity, Treatment, Why,
};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Ports of a Service that are listed in a message.
const MAX_LISTED_PORTS: usize = 8;

/// What was read of a port.
pub(super) struct PortRead {
    pub(super) state: BackendState,
    /// What is spoken with its endpoints; of none where there are none.
    pub(super) protocol: Protocol,
    /// What is wrong with it for every rule that names it.
    pub(super) problem: Option<Problem>,
}

impl PortRead {
    fn of(protocol: Protocol) -> Self {
        Self { protocol, ..Self::broken(Broken::Unsupported, None) }
    }

    pub(super) fn broken(broken: Broken, problem: Option<Problem>) -> Self {
        let state = BackendState::Broken(broken);
        Self { state, protocol: Protocol::Http, problem }
    }
}

/// What came of a Service and its slices.
#[derive(Default)]
pub(super) struct ServiceRead {
    /// For each port that was asked for.
    pub(super) ports: Vec<PortRead>,
    /// About Service and slices.
    pub(super) findings: Vec<Diagnostic>,
    /// What it says of all of its endpoints.
    pub(super) treatment: Treatment,
    /// Whether it matters in which zone we are.
    pub(super) by_zone: bool,
    /// The zone of its endpoints on our node: of several the first by name.
    pub(super) zone: Option<Arc<str>>,
}

/// Reads a Service and its slices for these ports of it. Nothing, if there is no such Service. `last`
/// is what was read before of the Secret that the Service names.
pub(super) fn read<'p>(
    objects: &Objects,
    key: ServiceName<'_>,
    ports: impl Iterator<Item = (&'p PortKey, &'p Wanted)>,
    here: &Here<'_>,
    names: &mut Names,
    last: &mut LastRead,
) -> Option<ServiceRead> {
    let ServiceName { namespace, name } = key;
    let service = objects.services().get(namespace, name)?;
    let mut findings = Vec::new();
    let own = object(Kind::Service, namespace, name);
    let annotations = Annotations::of(&service.metadata);
    let mut report = Report::new(&own, &mut findings);
    check(service, &mut report);
    let words = Words::read(objects, key, service, last, &mut report);
    let refused = foreign::judge(annotations, Subject::Service, &mut report).broken;
    let preference = balancing::prefer(service, here.prefer, &mut report);
    let treatment = read_treatment(annotations, preference.prefer, &mut report);
    leave_out_details(&mut findings, here.details);
    if let Some(broken) = refused {
        let ports = ports.map(|_| refuse(name, broken)).collect();
        return Some(ServiceRead { ports, findings, treatment, ..Default::default() });
    }
    if let Some(external) = external_name::of(service) {
        let mut report = Report::new(&own, &mut findings);
        let ports: Vec<PortRead> = match here.external_names {
            true => read_external(name, service, external, ports, &words, &mut report),
            false => ports.map(|_| refuse_external(name)).collect(),
        };
        if ports.iter().any(|port_read| matches!(port_read.protocol, Protocol::Https(_))) {
            words.report_tls(&mut report);
        }
        return Some(ServiceRead { ports, findings, treatment, ..Default::default() });
    }
    let (found, wanted): (Vec<_>, Vec<&Wanted>) =
        ports.map(|(port, wanted)| (find_port(name, service, port), wanted)).unzip();
    let (joined, zone, in_slices) = join(objects, key, &found, here, names, &mut findings);
    for port in found.iter().flatten() {
        check_name(service, port, &in_slices, &mut Report::new(&own, &mut findings));
    }
    let mut uses_words = false;
    let ports = found.into_iter().zip(joined).zip(wanted).map(|((found, joined), wanted)| {
        let protocol = match found.map(|port| words.of(port, wanted)) {
            Ok(Some(protocol)) => protocol,
            Ok(None) => return PortRead::broken(Broken::ProtocolUnusable, None),
            Err((broken, problem)) => return PortRead::broken(broken, Some(problem)),
        };
        uses_words |= matches!(protocol, Protocol::Https(_)) && wanted.tls.is_none();
        let state =
            BackendState::Resolved(joined.finish(preferred_family(service), preference).into());
        PortRead { state, protocol, problem: None }
    });
    let ports = ports.collect();
    if uses_words {
        words.report_tls(&mut Report::new(&own, &mut findings));
    }
    let by_zone = preference.hints || preference.prefer != Prefer::None;
    Some(ServiceRead { ports, findings, treatment, by_zone, zone })
}

/// What becomes of a Service of type ExternalName where they are not served.
fn refuse_external(service: &str) -> PortRead {
    let reason = format!("Service \"{service}\" has type ExternalName");
    let fix = "set external_names = true under [dns] in the configuration, or use a Service with a \
               selector or with EndpointSlices of its own";
    let problem = Problem::error(Why::Unsupported, "service.name", reason, fix);
    PortRead::broken(Broken::Unsupported, Some(problem))
}

/// Reads each port that rules name of a Service of type ExternalName. `written` is its
/// name in DNS.
fn read_external<'p>(
    name: &str,
    service: &Service,
    written: &str,
    ports: impl Iterator<Item = (&'p PortKey, &'p Wanted)>,
    words: &Words,
    report: &mut Report<'_>,
) -> Vec<PortRead> {
    let target = external_name::parse(written);
    if target.is_none() {
        let reason = format!("{} is not a DNS name", quote(written));
        let fix = "write one such as \"api.example.com\"; until then requests get 503";
        report.add("spec.externalName", Problem::invalid("", reason, fix));
    }
    let port_read = |(port, wanted): (&PortKey, &Wanted)| {
        let port = match external_port(name, service, port) {
            Ok(port) => port,
            Err((broken, problem)) => return PortRead::broken(broken, Some(problem)),
        };
        let number = u16::try_from(port.port).ok().filter(|number| *number > 0);
        let (Some(name), Some(number)) = (&target, number) else {
            return PortRead::broken(Broken::Unsupported, None);
        };
        match words.of(&port, wanted) {
            Some(protocol) => {
                let external = ExternalName { name: Arc::clone(name), port: number };
                PortRead { state: BackendState::Named(external), ..PortRead::of(protocol) }
            }
            None => PortRead::broken(Broken::ProtocolUnusable, None),
        }
    };
    ports.map(port_read).collect()
}

/// The port; such a Service need not have any, and then a number stands for itself.
fn external_port(
    name: &str,
    service: &Service,
    wanted: &PortKey,
) -> Result<ServicePort, (Broken, Problem)> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    match wanted {
        PortKey::Number(number) if ports.is_empty() => {
            Ok(ServicePort { port: i32::from(*number), ..ServicePort::default() })
        }
        _ => find_port(name, service, wanted).cloned(),
    }
}

/// The first of its families, if it says.
fn preferred_family(service: &Service) -> Option<&str> {
    let families = service.spec.as_ref()?.ip_families.as_deref()?;
    families.first().map(String::as_str)
}

fn read_treatment(
    annotations: Annotations<'_>,
    prefer: Prefer,
    report: &mut Report<'_>,
) -> Treatment {
    let algorithm = balancing::of_service(annotations, report);
    Treatment {
        balancing: Balancing { algorithm, prefer },
        check: health_check::read(annotations, report).map(Arc::new),
        limits: limits::read(annotations, report),
        host: pass_host::read(annotations, report),
        timeouts: None,
    }
}

/// What becomes of a port of a Service with annotations that are not obeyed.
fn refuse(name: &str, broken: Broken) -> PortRead {
    let why = match broken {
        Broken::Restricted => Why::RestrictionUnsupported,
        _ => Why::AnnotationUnsupported,
    };
    let reason = format!("Service \"{name}\" has an annotation that is not supported");
    let fix = format!("see the findings about the Service; until then {UNSERVED}");
    PortRead::broken(broken, Some(Problem::error(why, "service.name", reason, fix)))
}

/// The endpoints of these ports out of all slices, the zone of those on our node, and the names that the
/// slices have for ports.
fn join<'o>(
    objects: &'o Objects,
    key: ServiceName<'_>,
    ports: &[Result<&ServicePort, (Broken, Problem)>],
    here: &Here<'_>,
    names: &mut Names,
    findings: &mut Vec<Diagnostic>,
) -> (Vec<endpoint_slice::Joined>, Option<Arc<str>>, BTreeSet<&'o str>) {
    let ServiceName { namespace, name } = key;
    let mut zone: Option<&str> = None;
    let mut in_slices = BTreeSet::new();
    let mut joined: Vec<endpoint_slice::Joined> = Vec::new();
    joined.resize_with(ports.len(), Default::default);
    if ports.iter().all(Result::is_err) {
        return (joined, None, in_slices);
    }
    for (slice_name, slice) in objects.slices_of(namespace, name) {
        let object = object(Kind::EndpointSlice, namespace, slice_name);
        let mut report = Report::new(&object, findings);
        let read = endpoint_slice::read(slice, here, &mut report);
        zone = zone.into_iter().chain(read.own_zone()).min();
        in_slices.extend(read.port_names());
        for (joined, port) in joined.iter_mut().zip(ports) {
            if let Ok(port) = port {
                joined.add(&read, port.name.as_deref().unwrap_or_default(), names);
            }
        }
    }
    let zone = zone.map(|zone| names.share(zone));
    (joined, zone, in_slices)
}

/// Endpoints are found by the name of their port, as kube-proxy finds them: one without a name has to be
/// without one in both places. Slices made by hand, and mirrored from Endpoints made by hand, may differ.
fn check_name(
    service: &Service,
    port: &ServicePort,
    in_slices: &BTreeSet<&str>,
    report: &mut Report<'_>,
) {
    let name = port.name.as_deref().unwrap_or_default();
    if in_slices.is_empty() || in_slices.contains(name) {
        return;
    }
    let listed: Vec<String> =
        in_slices.iter().take(MAX_LISTED_PORTS).map(|name| quote(name)).collect();
    let listed = listed.join(", ");
    let is = if name.is_empty() { "is not set".to_owned() } else { format!("is {}", quote(name)) };
    let reason = format!(
        "{is}, but its EndpointSlices name their ports {listed}: the names differ, so no endpoint is used"
    );
    let fix = "use the same port name in both; a named targetPort must exist in every pod";
    let problem = Problem::error(Why::PortMissing, "", reason, fix).with(Severity::Warning);
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let position = ports.iter().position(|other| std::ptr::eq(other, port)).unwrap_or_default();
    report.add(&format!("spec.ports[{position}].name"), problem);
}

fn object(kind: Kind, namespace: &Arc<str>, name: &Arc<str>) -> ObjectRef {
    ObjectRef { kind, namespace: Arc::clone(namespace), name: Arc::clone(name) }
}

/// What is wrong with a rule whose Service does not exist. `near` may have been meant.
pub(super) fn missing(namespace: &str, name: &str, near: Option<&str>) -> Problem {
    let fix = match near {
        Some(near) => format!("did you mean {}? Until then {UNSERVED}", quote(near)),
        None => format!("create it; until then {UNSERVED}"),
    };
    let reason = format!("there is no Service {} in namespace {namespace}", quote(name));
    Problem::error(Why::ServiceMissing, "service.name", reason, fix)
}

/// The Service port that a backend means. The slices know it by its name; `targetPort` is not looked
/// at, as each slice has resolved it already.
fn find_port<'s>(
    name: &str,
    service: &'s Service,
    wanted: &PortKey,
) -> Result<&'s ServicePort, (Broken, Problem)> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let is_wanted = |port: &&ServicePort| match wanted {
        PortKey::Number(number) => port.port == i32::from(*number),
        PortKey::Name(name) => port.name.as_deref() == Some(name),
    };
    let field = match wanted {
        PortKey::Number(_) => "service.port.number",
        PortKey::Name(_) => "service.port.name",
    };
    let mut found = ports.iter().filter(is_wanted).peekable();
    if found.peek().is_none() {
        let reason = format!("Service \"{name}\" has no port {}", quote(&wanted.to_string()));
        let fix = match wanted {
            PortKey::Name(name) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("write `number: {name}` for a port by number; it has {}", list(ports))
            }
            _ => format!("it has {}; until then {UNSERVED}", list(ports)),
        };
        return Err((Broken::PortMissing, Problem::error(Why::PortMissing, field, reason, fix)));
    }
    // A number may be there once for TCP and once for UDP.
    match found.find(|port| fields::is_tcp(port.protocol.as_deref())) {
        Some(port) => Ok(port),
        None => {
            let reason = format!("port {wanted} of Service \"{name}\" is not TCP");
            let problem = Problem::error(Why::Unsupported, field, reason, "use a TCP port");
            Err((Broken::Unsupported, problem))
        }
    }
}

fn list(ports: &[ServicePort]) -> String {
    let mut listed: Vec<String> = ports
        .iter()
        .take(MAX_LISTED_PORTS)
        .map(|port| match port.name.as_deref().unwrap_or_default() {
            "" => port.port.to_string(),
            name => format!("{} ({name})", port.port),
        })
        .collect();
    if ports.len() > MAX_LISTED_PORTS {
        listed.push("others".to_owned());
    }
    if listed.is_empty() { "no ports".to_owned() } else { listed.join(", ") }
}

/// Reports what the API server would have refused.
pub(super) fn check(service: &Service, report: &mut Report<'_>) {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    for (position, port) in ports.iter().enumerate() {
        let ServicePort { app_protocol: _, name, node_port: _, port, protocol, target_port: _ } =
            port;
        let name = name.as_deref().unwrap_or_default();
        if let Err(problem) = fields::port(*port) {
            report.add(&format!("spec.ports[{position}].port"), problem);
        }
        if !matches!(protocol.as_deref(), None | Some("" | "TCP" | "UDP" | "SCTP")) {
            let reason = format!("{} is not a protocol", quote(protocol.as_deref().unwrap_or("")));
            let problem = Problem::invalid("", reason, "use TCP, UDP or SCTP");
            report.add(&format!("spec.ports[{position}].protocol"), problem);
        }
        let is_taken = |other: &ServicePort| other.name.as_deref().unwrap_or_default() == name;
        if name.is_empty() && ports.len() > 1 {
            let problem = Problem::invalid(
                "",
                "is missing",
                "a Service with several ports must name each of them",
            );
            report.add(&format!("spec.ports[{position}].name"), problem);
        } else if ports[..position].iter().any(is_taken) {
            let reason = format!("{} is already the name of another port", quote(name));
            let problem = Problem::invalid("", reason, "give each port a name of its own");
            report.add(&format!("spec.ports[{position}].name"), problem);
        }
    }
}
