//! The process in a few numbers.

use super::{Readiness, Sources};
use crate::model::Severity;
use serde::Serialize;
use std::collections::BTreeMap;

/// The head of the page.
#[derive(Debug, Serialize)]
pub(super) struct Overview<'r> {
    version: &'static str,
    ready: bool,
    #[serde(flatten)]
    readiness: &'r Readiness,
    /// When the process started, or reloaded its configuration, in seconds since the Unix epoch: counts are since then.
    started: i64,
    generation: u64,
    hosts: usize,
    routes: usize,
    /// When the table was put in force, in seconds since the Unix epoch.
    published: f64,
    connections_open: i64,
    /// How many findings there are, by severity.
    findings: BTreeMap<&'static str, usize>,
    /// Since the process started, by status class.
    requests: BTreeMap<&'static str, u64>,
}

/// Labels of the status classes, in the order of the counts.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Sources {
    pub(super) fn overview<'r>(&self, readiness: &'r Readiness) -> Overview<'r> {
        let snapshot = self.telemetry.snapshot();
        let table = self.tables.load();
        let mut findings: BTreeMap<_, _> = [Severity::Error, Severity::Warning, Severity::Info]
            .map(|one| (one.as_str(), 0))
            .into();
        for finding in self.telemetry.findings().iter() {
            *findings.entry(finding.severity.as_str()).or_default() += 1;
        }
        let mut requests: BTreeMap<_, _> = CLASSES.map(|class| (class, 0)).into();
        for total in self.telemetry.request_totals() {
            for (class, count) in CLASSES.into_iter().zip(total.classes) {
                *requests.entry(class).or_default() += count;
            }
        }
        Overview {
            version: env!("CARGO_PKG_VERSION"),
            ready: readiness.not_ready.is_none(),
            readiness,
            started: self.started,
            generation: table.generation(),
            hosts: table.host_count(),
            routes: table.route_count(),
            published: snapshot.published,
            connections_open: self.telemetry.open_connections(),
            findings,
            requests,
        }
    }
}
