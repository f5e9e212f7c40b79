//! `server-alias` of ingress-nginx: further hosts that have the rules of the first host of an Ingress. A host that
//! has rules or a default backend of its own is not served by an alias: `routes::ownership` decides.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use crate::control::quote::quote;
use crate::model::{HostPattern, Severity, Why};

/// Hosts, with commas.
pub(super) const SERVER_ALIAS: &str = "nginx.ingress.kubernetes.io/server-alias";

/// The most hosts of one Ingress: each has all of its rules again.
const MOST_ALIASES: usize = 64;

/// The further hosts of an Ingress, sorted, each once. `own` are those of its rules.
pub(super) fn read(
    annotations: Annotations<'_>,
    own: &[HostPattern],
    report: &mut Report<'_>,
) -> Vec<HostPattern> {
    let mut names = annotations.list(SERVER_ALIAS);
    if names.is_empty() {
        return Vec::new();
    }
    if annotations.ignores(SERVER_ALIAS, None, report) {
        return Vec::new();
    }
    let mut warn = |reason: String, fix: &str| {
        let problem = Problem::error(Why::AnnotationIgnored, "", reason, fix);
        report.add(&field(SERVER_ALIAS), problem.with(Severity::Warning));
    };
    if own.iter().all(|host| *host == HostPattern::Any) {
        let reason = "has no effect, as no rule has a host".to_owned();
        warn(reason, "write a host into `spec.rules`");
        return Vec::new();
    }
    if names.len() > MOST_ALIASES {
        let reason = format!("has {} hosts: all after {MOST_ALIASES} are not served", names.len());
        warn(reason, "write rules for them");
        names.truncate(MOST_ALIASES);
    }
    let mut hosts = Vec::new();
    for name in names {
        match HostPattern::parse(Some(name)) {
            Ok(host) => hosts.push(host),
            Err(problem) => {
                let reason = format!("{} {problem}, and is not served", quote(name));
                warn(reason, "write DNS names; regular expressions are not supported");
            }
        }
    }
    hosts.retain(|host| *host != HostPattern::Any && !own.contains(host));
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}
