//! The last requests that failed, with what each reason means and what to do about it.

use super::Sources;
use super::fix::fix;
use super::question::FailureQuery;
use super::window::Window;
use crate::error::Culprit;
use crate::telemetry::KeptFailure;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct FailureRow {
    /// RFC 3339, in UTC.
    time: String,
    /// `CF-Ray`; empty if the request had none.
    ray: String,
    method: &'static str,
    host: String,
    path: String,
    /// The status sent; of an answer that broke off, the one that it had begun with.
    status: u16,
    /// `None`: the status is the pod's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    caused_by: &'static str,
    meaning: &'static str,
    fix: &'static str,
    /// Namespace and name; empty if no rule matched.
    route: String,
    service: String,
    /// Address of the pod that it was sent to last; empty if none was asked.
    endpoint: String,
    attempts: u32,
    duration_ms: f64,
}

impl Sources {
    /// The newest first.
    pub(super) fn failures(&self, query: &FailureQuery) -> Window<FailureRow> {
        let search = &query.search;
        let all = self.telemetry.failures().into_iter();
        let found: Vec<_> = all
            .filter(|failure| query.is_asked(&failure.ray()))
            .map(FailureRow::from)
            .filter(|row| {
                let reason = row.reason.unwrap_or_default();
                search.matches(&[&row.ray, &row.host, &row.path, &row.route, &row.endpoint, reason])
            })
            .collect();
        let total = found.len();
        let range = search.bounds.range(total);
        let rows = found.into_iter().skip(range.start).take(range.len()).collect();
        search.bounds.window(self.tables.load().generation(), total, rows)
    }
}

impl From<KeptFailure> for FailureRow {
    fn from(failure: KeptFailure) -> Self {
        let reason = failure.reason;
        Self {
            // A clock before 1970 or past the year 9999 is written as the epoch.
            time: format!("{:.3}", Timestamp::try_from(failure.time).unwrap_or_default()),
            ray: failure.ray(),
            method: failure.method.as_str(),
            host: failure.host(),
            path: failure.path(),
            status: failure.status.as_u16(),
            reason: reason.map(|reason| reason.label()),
            caused_by: reason.map_or("pod", |reason| match reason.culprit() {
                Culprit::Client => "client",
                Culprit::Configuration => "manifests",
                Culprit::Upstream => "pod",
                Culprit::Ravelin => "ravelin",
            }),
            meaning: reason
                .map_or("The pod itself answered with this status.", |reason| reason.text()),
            fix: reason.map_or("Look at the log of the pod.", fix),
            route: failure.route(),
            service: failure.service(),
            endpoint: failure.endpoint(),
            attempts: failure.attempts,
            duration_ms: failure.duration.as_secs_f64() * 1000.0,
        }
    }
}
