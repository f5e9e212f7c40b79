//! Connections of IngressRouteTCPs, by route and end.

use super::Telemetry;
use super::families::Families;
use super::requests::told;
use crate::config::PerRoute;
use crate::routing::Table;
use crate::telemetry::tcp::TcpSeries;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

impl Telemetry {
    pub(super) fn encode_tcp(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let series: Vec<Arc<TcpSeries>> =
            self.workers.iter().flat_map(|worker| worker.tcp_series()).collect();
        let mut by_labels: BTreeMap<[&str; 4], Vec<&TcpSeries>> = BTreeMap::new();
        for series in &series {
            by_labels.entry(self.tcp_labels(series)).or_default().push(series);
        }
        encoder.counter(
            "ravelin_tcp_connections",
            "Connections of IngressRouteTCPs that have ended or were refused, by route and end",
            |family| {
                for (labels, series) in &by_labels {
                    let mut ends = BTreeMap::new();
                    for (end, count) in series.iter().flat_map(|series| series.counts()) {
                        *ends.entry(end).or_insert(0) += count;
                    }
                    for (end, count) in ends {
                        let mut labels = told(labels);
                        labels.push(("end", end));
                        family.count_by(&labels, count)?;
                    }
                }
                Ok(())
            },
        )?;
        encoder.counter(
            "ravelin_tcp_bytes",
            "Bytes from (in) and to (out) clients of IngressRouteTCPs whose connections have ended",
            |family| {
                for (labels, series) in &by_labels {
                    let all = |of: fn(&TcpSeries) -> u64| series.iter().map(|one| of(one)).sum();
                    let bytes: [(_, u64); 2] = [
                        ("in", all(|series| series.bytes_in.total())),
                        ("out", all(|series| series.bytes_out.total())),
                    ];
                    for (direction, bytes) in bytes {
                        let mut labels = told(labels);
                        labels.push(("direction", direction));
                        family.count_by(&labels, bytes)?;
                    }
                }
                Ok(())
            },
        )
    }

    fn tcp_labels<'s>(&self, series: &'s TcpSeries) -> [&'s str; 4] {
        let (all, of) = (self.metrics.labels, &series.labels);
        let told = self.metrics.per_route != PerRoute::Nothing;
        let label = |is_told: bool, text: &'s str| if told && is_told { text } else { "" };
        [
            &of.listener,
            label(all.host, &of.host),
            label(all.route, &of.route),
            label(all.service, &of.service),
        ]
    }

    /// Marks the series of connections without a route in this table, and drops those that have been so for long. Visits
    /// every route, unless there are no series.
    pub(super) fn mark_tcp_gone(&self, table: &Table, now: u64, keep: u64) {
        let seen: Vec<_> = self.workers.iter().map(|one| (one, one.tcp_series())).collect();
        if seen.iter().all(|(_, series)| series.is_empty()) {
            return;
        }
        let present: HashSet<(String, &str)> =
            table.tcp_routes().iter().map(|entry| (entry.hosts(), &*entry.object)).collect();
        for (worker, all) in seen {
            for series in all {
                let of = &series.labels;
                let is_there = of.route == "_" || present.contains(&(of.host.clone(), &of.route));
                series.presence.mark(is_there, now);
            }
            worker.drop_tcp_series(|series| series.presence.gone_for(now) > Some(keep));
        }
    }
}
