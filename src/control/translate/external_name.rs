//! Services of type ExternalName (core/v1 ServiceSpec.externalName): what DNS has for a name takes
//! their requests. Who may write a Service could then send requests to whatever this node reaches, so
//! that they are served only where the configuration says so.

use crate::model::Host;
use k8s_openapi::api::core::v1::Service;
use std::net::IpAddr;
use std::sync::Arc;

/// The name, if a Service is of this type. It may be none that DNS could have: see [`parse`].
pub(super) fn of(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref().filter(|s| s.type_.as_deref() == Some("ExternalName"))?;
    Some(spec.external_name.as_deref().unwrap_or_default())
}

/// A name as it is asked for. An address is none: the API server takes it for a name of digits.
pub(super) fn parse(written: &str) -> Option<Arc<str>> {
    let name = written.strip_suffix('.').unwrap_or(written);
    let host = Host::parse(name).ok().filter(|_| name.parse::<IpAddr>().is_err())?;
    let is_name = !host.as_str().is_empty() && !name.contains([':', '[', '*']);
    is_name.then(|| host.as_str().into())
}
