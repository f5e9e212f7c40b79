//! ServersTransportTCP (`traefik.io/v1alpha1`): how the pods of a route are reached.

use super::service::proxy_protocol;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::translate::middleware::{Dependency, Fields};
use crate::control::translate::report::Report;
use crate::control::translate::servers_transport::{self, TLS_FIELDS, TlsRead, Within};
use crate::control::translate::wanted::TransportTls;
use crate::model::{Diagnostic, KeepAlive, ObjectRef, TcpDelivery};
use serde_json::Value;
use std::time::Duration;

/// What was read of one, with the objects that it depends on.
pub(in crate::control::translate) struct TcpTransportRead {
    /// `None`: it cannot be used, which was told.
    pub(in crate::control::translate) usable: Option<TcpTransport>,
    pub(in crate::control::translate) dependencies: Vec<Dependency>,
}

/// One that can be used.
pub(in crate::control::translate) struct TcpTransport {
    pub(in crate::control::translate) delivery: TcpDelivery,
    /// TLS, if it says something of it.
    pub(in crate::control::translate) tls: Option<TransportTls>,
}

/// Reads one. Nothing where it does not exist.
pub(in crate::control::translate) fn read(
    objects: &Objects,
    object: &ObjectRef,
    findings: &mut Vec<Diagnostic>,
) -> Option<TcpTransportRead> {
    let source = objects.traefik(object.kind).get(&object.namespace, &object.name)?;
    let mut report = Report::new(object, findings);
    let within = Within { objects, namespace: &object.namespace };
    Some(content(source, Some(within), &mut report))
}

pub(super) fn content(
    source: &TraefikObject,
    within: Option<Within<'_>>,
    report: &mut Report<'_>,
) -> TcpTransportRead {
    let mut fields = Fields::of_connections("spec", &source.spec, report);
    fields.know(&["dialTimeout", "dialKeepAlive", "proxyProtocol", "terminationDelay", "tls"]);
    let instead = "the other side may go on until timeouts.body_progress is over in silence";
    fields.tell("terminationDelay", instead);
    let connect = fields.duration("dialTimeout").filter(|timeout| *timeout > Duration::ZERO);
    let keep_alive = keep_alive(&mut fields);
    let proxy_protocol = fields.below("proxyProtocol", proxy_protocol).flatten();
    let tls = fields.below("tls", |tls| {
        tls.know(&TLS_FIELDS);
        servers_transport::read_tls(tls, within)
    });
    let (tls, dependencies) = match tls {
        None => (None, Vec::new()),
        Some(TlsRead { tls, dependencies }) => (Some(tls), dependencies),
    };
    let delivery = TcpDelivery { proxy_protocol, connect, keep_alive };
    let usable = (!fields.is_broken()).then_some(TcpTransport { delivery, tls });
    TcpTransportRead { usable, dependencies }
}

/// A negative time is none; zero is as good as nothing.
fn keep_alive(fields: &mut Fields<'_, '_, '_>) -> KeepAlive {
    let is_negative = match fields.get("dialKeepAlive") {
        Some(Value::String(text)) => text.starts_with('-'),
        Some(Value::Number(number)) => number.as_i64().is_some_and(|number| number < 0),
        _ => false,
    };
    if is_negative {
        return KeepAlive::Off;
    }
    let given = fields.duration("dialKeepAlive").filter(|every| *every > Duration::ZERO);
    given.map_or_else(KeepAlive::default, KeepAlive::Every)
}
