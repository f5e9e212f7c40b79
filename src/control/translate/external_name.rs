//! Services of type ExternalName (core/v1 ServiceSpec.externalName): what DNS has for a name takes
//! their requests. Who may write a Service could then send requests to whatever this node reaches, so
//! that they are served only where the configuration says so.

use super::protocol::{Asked, Words};
use super::report::{Flaw, Report};
use super::service::{Verdict, find_port};
use crate::control::quote::quote;
use crate::model::{BackendState, Broken, ExternalName, Host, PortKey, Why};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use std::net::IpAddr;
use std::sync::Arc;

/// The name, if a Service is of this type. It may be none that DNS could have: see [`read`].
pub(super) fn of(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref().filter(|s| s.type_.as_deref() == Some("ExternalName"))?;
    Some(spec.external_name.as_deref().unwrap_or_default())
}

/// What becomes of one where they are not served.
pub(super) fn refused(service: &str) -> Verdict {
    let reason = format!("Service \"{service}\" is of type ExternalName");
    let fix = "set external_names = true under [dns] in the configuration, or use a Service with a \
               selector or with EndpointSlices of its own";
    let flaw = Flaw::error(Why::Unsupported, "service.name", reason, fix);
    Verdict::broken(Broken::Unsupported, Some(flaw))
}

/// A verdict for each of the ports that rules name. `written` is the name.
pub(super) fn read<'p>(
    name: &str,
    service: &Service,
    written: &str,
    ports: impl Iterator<Item = &'p PortKey>,
    words: &Words,
    report: &mut Report<'_>,
) -> Vec<Verdict> {
    let target = parse(written);
    if target.is_none() {
        let reason = format!("{} is not a DNS name", quote(written));
        let fix = "write one such as \"api.example.com\"; until then the answer is 503";
        report.add("spec.externalName", Flaw::invalid("", reason, fix));
    }
    let verdict = |wanted: &PortKey| {
        let port = match port(name, service, wanted) {
            Ok(port) => port,
            Err((broken, flaw)) => return Verdict::broken(broken, Some(flaw)),
        };
        let number = u16::try_from(port.port).ok().filter(|number| *number > 0);
        let (Some(name), Some(number)) = (&target, number) else {
            return Verdict::broken(Broken::Unsupported, None);
        };
        match words.of(&port) {
            Some(asked) => {
                let external = ExternalName { name: Arc::clone(name), port: number };
                Verdict { state: BackendState::Named(external), ..Verdict::of(asked) }
            }
            None => Verdict::broken(Broken::ProtocolUnusable, None),
        }
    };
    ports.map(verdict).collect()
}

/// The port; such a Service need not have any, and then a number stands for itself.
fn port(name: &str, service: &Service, wanted: &PortKey) -> Result<ServicePort, (Broken, Flaw)> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    match wanted {
        PortKey::Number(number) if ports.is_empty() => {
            Ok(ServicePort { port: i32::from(*number), ..ServicePort::default() })
        }
        _ => find_port(name, service, wanted).cloned(),
    }
}

/// A name as it is asked for. An address is none: the API server takes it for a name of digits.
pub(super) fn parse(written: &str) -> Option<Arc<str>> {
    let name = written.strip_suffix('.').unwrap_or(written);
    let host = Host::parse(name).ok().filter(|_| name.parse::<IpAddr>().is_err())?;
    let is_name = !host.as_str().is_empty() && !name.contains([':', '[', '*']);
    is_name.then(|| host.as_str().into())
}

impl Verdict {
    fn of(asked: Asked) -> Self {
        Self { asked, ..Self::broken(Broken::Unsupported, None) }
    }
}
