//! Requests so far, of each route: the page makes rates of two answers.

use super::Sources;
use super::overview::CLASSES;
use super::question::Search;
use super::window::Window;
use crate::telemetry::RequestTotals;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub(super) struct RequestRow {
    host: String,
    route: String,
    service: String,
    total: u64,
    /// By status class; those without a request are left out.
    statuses: BTreeMap<&'static str, u64>,
    /// Answered by ravelin itself, or broken off.
    own: u64,
}

impl Sources {
    /// Those with the most requests first.
    pub(super) fn requests(&self, search: &Search) -> Window<RequestRow> {
        let mut found = self.telemetry.request_totals();
        found.retain(|of| search.matches(&[&of.host, &of.route, &of.service]));
        let total = found.len();
        let by_count = |a: &RequestTotals, b: &RequestTotals| {
            let names = |of: &RequestTotals| [&of.host, &of.route, &of.service].map(String::clone);
            b.total().cmp(&a.total()).then_with(|| names(a).cmp(&names(b)))
        };
        let part = search.bounds.sorted(&mut found, by_count);
        let rows = part.iter().map(|of| RequestRow {
            host: of.host.clone(),
            route: of.route.clone(),
            service: of.service.clone(),
            total: of.total(),
            statuses: CLASSES.into_iter().zip(of.classes).filter(|(_, count)| *count > 0).collect(),
            own: of.own,
        });
        let rows = rows.collect();
        search.bounds.window(self.tables.load().generation(), total, rows)
    }
}
