//! Service ports to backends: each port that an Ingress names, once, with its endpoints.

use super::endpoint_slice;
use super::report::{Flaw, Report};
use super::validate;
use crate::control::objects::Objects;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::model::{
    Backend, BackendKey, BackendState, Broken, Kind, ObjectRef, PortKey, Rejected, Why,
};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use std::collections::HashMap;
use std::sync::Arc;

/// Names that may be compared for suggestions in one translation: 10 000 rules whose Services are
/// missing must not cost 10 000 times 10 000 comparisons.
const MAX_COMPARISONS: usize = 20_000;

/// Ports of a Service that are listed in a message.
const MAX_LISTED_PORTS: usize = 8;

/// The backends met so far.
pub(super) struct Backends<'o> {
    objects: &'o Objects,
    loopback: bool,
    comparisons_left: usize,
    known: HashMap<BackendKey, usize>,
    backends: Vec<Backend>,
    /// Beside `backends`: what is wrong with each, for every rule that names it.
    flaws: Vec<Option<Flaw>>,
    /// About Services and slices.
    findings: Vec<Rejected>,
}

impl<'o> Backends<'o> {
    pub(super) fn new(objects: &'o Objects, loopback: bool) -> Self {
        Self {
            objects,
            loopback,
            comparisons_left: MAX_COMPARISONS,
            known: HashMap::new(),
            backends: Vec::new(),
            flaws: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// The backend of a Service port, and what is wrong with it.
    pub(super) fn resolve(
        &mut self,
        namespace: &Arc<str>,
        service: &str,
        port: &PortKey,
    ) -> (usize, Option<&Flaw>) {
        let key = BackendKey {
            namespace: Arc::clone(namespace),
            service: service.into(),
            port: port.clone(),
        };
        let index = match self.known.get(&key) {
            Some(&index) => index,
            None => match self.find(namespace, service, port) {
                Ok(state) => self.push(key, state, None),
                Err((broken, flaw)) => self.push(key, BackendState::Broken(broken), Some(flaw)),
            },
        };
        (index, self.flaws[index].as_ref())
    }

    /// A backend that names no Service port; its flaw has been reported.
    pub(super) fn broken(&mut self, namespace: &Arc<str>, service: &str, broken: Broken) -> usize {
        let key = BackendKey {
            namespace: Arc::clone(namespace),
            service: service.into(),
            port: PortKey::Number(0),
        };
        match self.known.get(&key) {
            Some(&index) => index,
            None => self.push(key, BackendState::Broken(broken), None),
        }
    }

    /// The backends, and the findings about Services and slices.
    pub(super) fn finish(self) -> (Vec<Backend>, Vec<Rejected>) {
        (self.backends, self.findings)
    }

    fn push(&mut self, key: BackendKey, state: BackendState, flaw: Option<Flaw>) -> usize {
        let index = self.backends.len();
        self.known.insert(key.clone(), index);
        self.backends.push(Backend { key, state });
        self.flaws.push(flaw);
        index
    }

    fn find(
        &mut self,
        namespace: &Arc<str>,
        name: &str,
        port: &PortKey,
    ) -> Result<BackendState, (Broken, Flaw)> {
        let Some(service) = self.objects.services().get(namespace, name) else {
            return Err((Broken::ServiceMissing, self.missing(namespace, name)));
        };
        let object = ObjectRef::new(Kind::Service, namespace, name);
        check(service, &mut Report::new(&object, &mut self.findings));
        let spec = service.spec.as_ref();
        if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            let reason = format!("Service \"{name}\" is of type ExternalName");
            let fix = "use a Service with a selector, or with EndpointSlices of its own";
            let flaw = Flaw::error(Why::Unsupported, "service.name", reason, fix);
            return Err((Broken::Unsupported, flaw));
        }
        let port_name = find_port(name, service, port)?;
        let families = spec.and_then(|spec| spec.ip_families.as_deref()).unwrap_or_default();
        let mut joined = endpoint_slice::Joined::default();
        for (slice_name, slice) in self.objects.slices_of(namespace, name) {
            let object = ObjectRef {
                kind: Kind::EndpointSlice,
                namespace: Arc::clone(namespace),
                name: Arc::clone(slice_name),
            };
            let mut report = Report::new(&object, &mut self.findings);
            joined.add(&endpoint_slice::read(slice, self.loopback, &mut report), port_name);
        }
        Ok(BackendState::Resolved(joined.finish(families.first().map(String::as_str))))
    }

    fn missing(&mut self, namespace: &str, name: &str) -> Flaw {
        let names = self.objects.services().names(namespace);
        let mut left = self.comparisons_left;
        let near = nearest(
            name,
            names.take_while(|_| {
                left = left.saturating_sub(1);
                left > 0
            }),
        );
        let fix = match near {
            Some(near) => format!("did you mean {}? Until then the answer is 503", quote(near)),
            None => "create it; until then the answer is 503".to_owned(),
        };
        self.comparisons_left = left;
        let reason = format!("there is no Service {} in namespace {namespace}", quote(name));
        Flaw::error(Why::ServiceMissing, "service.name", reason, fix)
    }
}

/// The name of the Service port that a backend means: "" for an unnamed one. The slices know the
/// port by this name; `targetPort` is not looked at, as each slice has resolved it already.
fn find_port<'s>(
    name: &str,
    service: &'s Service,
    wanted: &PortKey,
) -> Result<&'s str, (Broken, Flaw)> {
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
            _ => format!("it has {}; until then the answer is 503", list(ports)),
        };
        return Err((Broken::PortMissing, Flaw::error(Why::PortMissing, field, reason, fix)));
    }
    // A number may be there once for TCP and once for UDP.
    match found.find(|port| is_tcp(port.protocol.as_deref())) {
        Some(port) => Ok(port.name.as_deref().unwrap_or_default()),
        None => {
            let reason = format!("port {wanted} of Service \"{name}\" is not TCP");
            let flaw = Flaw::error(Why::Unsupported, field, reason, "use a TCP port");
            Err((Broken::Unsupported, flaw))
        }
    }
}

/// Whether a `protocol` is the one that HTTP needs, which is also the default.
pub(super) fn is_tcp(protocol: Option<&str>) -> bool {
    matches!(protocol, None | Some("" | "TCP"))
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
        if let Err(flaw) = validate::port(*port) {
            report.add(&format!("spec.ports[{position}].port"), flaw);
        }
        if !matches!(protocol.as_deref(), None | Some("" | "TCP" | "UDP" | "SCTP")) {
            let reason = format!("{} is not a protocol", quote(protocol.as_deref().unwrap_or("")));
            let flaw = Flaw::invalid("", reason, "use TCP, UDP or SCTP");
            report.add(&format!("spec.ports[{position}].protocol"), flaw);
        }
        let is_taken = |other: &ServicePort| other.name.as_deref().unwrap_or_default() == name;
        if name.is_empty() && ports.len() > 1 {
            let flaw = Flaw::invalid("", "is missing", "name each port where there are several");
            report.add(&format!("spec.ports[{position}].name"), flaw);
        } else if ports[..position].iter().any(is_taken) {
            let reason = format!("{} is the name of another port already", quote(name));
            let flaw = Flaw::invalid("", reason, "give each port a name of its own");
            report.add(&format!("spec.ports[{position}].name"), flaw);
        }
    }
}
