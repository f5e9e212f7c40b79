//! How long the requests of an Ingress may take, by annotations.
//!
//! The grammar is that of the configuration. A value that is none is reported, and what the
//! configuration says stays in force.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use crate::model::Timeouts;
use std::time::Duration;

/// One attempt to connect to a pod.
pub(super) const CONNECT: &str = "ravelin.dev/connect-timeout";
/// From the end of a request to the head of its answer.
pub(super) const RESPONSE_HEAD: &str = "ravelin.dev/response-head-timeout";
/// Without progress in either body.
pub(super) const BODY_PROGRESS: &str = "ravelin.dev/body-progress-timeout";
/// Without a byte in a tunnel, an event stream or a call of gRPC.
pub(super) const TUNNEL_IDLE: &str = "ravelin.dev/tunnel-idle-timeout";
/// The whole exchange.
pub(super) const REQUEST: &str = "ravelin.dev/request-timeout";

/// Reads them; `None` where nothing is said.
pub(super) fn read(annotations: Annotations<'_>, report: &mut Report<'_>) -> Option<Box<Timeouts>> {
    let mut read = |name| span(annotations, name, report);
    let timeouts = Timeouts {
        connect: read(CONNECT),
        response_head: read(RESPONSE_HEAD),
        body_progress: read(BODY_PROGRESS),
        tunnel_idle: read(TUNNEL_IDLE),
        request: read(REQUEST),
    };
    (timeouts != Timeouts::default()).then(|| Box::new(timeouts))
}

/// A span of time, if one is given.
pub(super) fn span(
    annotations: Annotations<'_>,
    name: &str,
    report: &mut Report<'_>,
) -> Option<Duration> {
    annotations.duration(name).unwrap_or_else(|problem| {
        let fix = format!("{}; until then the default applies", problem.fix);
        report.add(&field(name), Problem { fix, ..problem });
        None
    })
}
