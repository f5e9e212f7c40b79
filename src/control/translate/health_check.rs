//! How a Service has its endpoints checked, by annotations. A mistake in one of them leaves the
//! endpoints unchecked, or with the default: a check protects nobody, and takes pods away.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use crate::control::quote::quote;
use crate::model::{HealthCheck, Severity, Why};
use http::HeaderValue;
use http::uri::{Authority, PathAndQuery};

/// Path, and query if there is one, of the request. With it the endpoints are checked.
pub(super) const PATH: &str = "ravelin.dev/health-check-path";
/// Value of `Host`; default: the address of the endpoint.
pub(super) const HOST: &str = "ravelin.dev/health-check-host";
/// Time between two checks of one endpoint, at least a second; default 10 s.
pub(super) const INTERVAL: &str = "ravelin.dev/health-check-interval";
/// How long connecting, and the head of the answer, may take each; default 2 s.
pub(super) const TIMEOUT: &str = "ravelin.dev/health-check-timeout";

/// Reads it.
pub(super) fn read(annotations: Annotations<'_>, report: &mut Report<'_>) -> Option<HealthCheck> {
    let Some(written) = annotations.get(PATH) else {
        for name in [HOST, INTERVAL, TIMEOUT] {
            if annotations.get(name).is_some() {
                let reason = format!("has no effect without {PATH}");
                let problem =
                    Problem::error(Why::Unsupported, "", reason, "add it, or remove this one");
                report.add(&field(name), problem.with(Severity::Warning));
            }
        }
        return None;
    };
    let path = PathAndQuery::try_from(written).ok().filter(|_| written.starts_with('/'));
    if path.is_none() {
        let reason = format!("{} is not a path", quote(written));
        let fix = "write one such as \"/healthz\"; until then the endpoints are not checked";
        report.add(&field(PATH), Problem::invalid("", reason, fix));
    }
    let mut duration = |name, default| {
        let read = annotations.duration(name);
        read.unwrap_or_else(|problem| {
            report.add(&field(name), problem);
            None
        })
        .unwrap_or(default)
    };
    let mut interval = duration(INTERVAL, HealthCheck::INTERVAL);
    let timeout = duration(TIMEOUT, HealthCheck::TIMEOUT);
    if interval < HealthCheck::SHORTEST {
        let reason = "is less than one second";
        report.add(&field(INTERVAL), Problem::invalid("", reason, "write \"1s\" or more"));
        interval = HealthCheck::SHORTEST;
    }
    let host = annotations.get(HOST).filter(|host| {
        let is_one = Authority::try_from(*host).is_ok_and(|host| !host.as_str().contains('@'))
            && HeaderValue::from_str(host).is_ok();
        if !is_one {
            let reason = format!("{} is not a host", quote(host));
            report.add(&field(HOST), Problem::invalid("", reason, "write a DNS name"));
        }
        is_one
    });
    let path = path?.as_str().into();
    let (host, failing_interval) = (host.map(Into::into), interval);
    Some(HealthCheck { host, interval, failing_interval, timeout, ..HealthCheck::of(path) })
}
