//! `tls` of an IngressRouteTCP: whether it ends here, and with what.

use super::TcpRouteRead;
use crate::control::translate::ingress_route::{RouteTls, tls_content};
use crate::control::translate::middleware::Fields;
use crate::control::translate::report::Report;
use crate::model::HostPattern;
use serde_json::Value;

/// What was read of it.
pub(in crate::control::translate) struct TcpTlsRead<'o> {
    /// Whether pods get it as it comes.
    pub(in crate::control::translate) is_passed: bool,
    /// Certificate and TLSOption.
    pub(in crate::control::translate) own: RouteTls<'o>,
    /// Whether something in it is not understood.
    pub(in crate::control::translate) is_broken: bool,
}

pub(super) fn read<'o>(
    spec: &'o Value,
    routes: &[TcpRouteRead<'_>],
    report: &mut Report<'_>,
) -> Option<TcpTlsRead<'o>> {
    let tls = spec.get("tls").filter(|tls| !tls.is_null())?;
    let mut fields = Fields::of_connections("spec.tls", tls, report);
    fields.know(&["secretName", "certResolver", "domains", "options", "store", "passthrough"]);
    for meant in ["options", "passthrough"] {
        fields.refuse_misspelt(meant);
    }
    let is_passed = fields.flag("passthrough");
    if is_passed {
        for key in ["secretName", "certResolver", "options"] {
            if fields.get(key).is_some() {
                let reason = "has no effect with passthrough: TLS ends at the pod";
                fields.warn(key, reason, "remove it, or remove passthrough");
            }
        }
        let own = RouteTls { certificate: None, option: None, is_broken: false };
        return Some(TcpTlsRead { is_passed, own, is_broken: fields.is_broken() });
    }
    let mut hosts: Vec<HostPattern> =
        routes.iter().flat_map(|route| route.hosts.iter().cloned()).collect();
    let own = tls_content(&mut fields, &mut hosts);
    Some(TcpTlsRead { is_passed, is_broken: fields.is_broken(), own })
}
