//! Whether pods get the Host of the visitor, by Traefik's annotation of Services.

use super::annotations::{Annotations, field};
use super::report::Report;
use crate::model::HostSent;

/// `"false"`: pods get their own address, with the port, as Host.
pub(super) const PASS_HOST: &str = "traefik.ingress.kubernetes.io/service.passhostheader";

/// Reads it. A mistake leaves the visitor's Host, which is what nearly every application is made for.
pub(super) fn read(annotations: Annotations<'_>, report: &mut Report<'_>) -> HostSent {
    match annotations.switch(PASS_HOST) {
        Ok(Some(false)) => HostSent::Endpoints,
        Ok(Some(true) | None) => HostSent::Visitors,
        Err(problem) => {
            report.add(&field(PASS_HOST), problem);
            HostSent::Visitors
        }
    }
}
