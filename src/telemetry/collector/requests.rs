//! Requests: how many of each route, how long they took, and how many bytes.

use super::Telemetry;
use super::families::{Families, Family};
use crate::config::PerRoute;
use crate::error::Reason;
use crate::telemetry::histogram::{Histogram, Totals};
use crate::telemetry::series::{Flow, Series};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The family of which [`super::exemplars`] writes the exemplars.
pub(super) const DURATIONS: &str = "ravelin_request_duration_seconds";
pub(super) const DURATIONS_HELP: &str =
    "Time from the request head to the last byte of the response";

/// Listener, host, route and service; empty where the configuration leaves the label out.
pub(super) type Labels<'s> = [&'s str; 4];

/// What is told apart, and whose numbers add up to it. Only pointers: the numbers of one are added up
/// when it is written.
pub(super) type By<'s, T> = BTreeMap<Labels<'s>, Vec<&'s T>>;

/// Counts by method, status class and reason.
type Requests = BTreeMap<(&'static str, u16, &'static str), u64>;

impl Telemetry {
    pub(super) fn encode_requests(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let series = self.all_series();
        let by_labels = self.by_labels(&series);
        encoder.counter(
            "ravelin_requests",
            "Requests by route and outcome; reason is empty for a response of the pod",
            |family| {
                by_labels.iter().try_for_each(|(labels, series)| self.count(family, labels, series))
            },
        )?;
        encoder.counter(
            "ravelin_etag_mismatches",
            "Responses whose ETag is not the one that another pod has for the same path at that moment, among watched paths",
            |family| {
                for (labels, series) in &by_labels {
                    let count = series.iter().map(|one| one.etag_mismatches.total()).sum();
                    if count > 0 {
                        family.count_by(&told(labels), count)?;
                    }
                }
                Ok(())
            },
        )?;
        self.encode_colos(encoder)?;
        encode_flows(encoder, &self.flows(&by_labels))
    }

    /// The series of all workers.
    pub(super) fn all_series(&self) -> Vec<Arc<Series>> {
        self.workers.iter().flat_map(|worker| worker.series()).collect()
    }

    /// The same by the labels that are told.
    pub(super) fn by_labels<'s>(&self, series: &'s [Arc<Series>]) -> By<'s, Series> {
        let mut by_labels = By::<Series>::new();
        for series in series {
            by_labels.entry(self.labels(series)).or_default().push(series);
        }
        by_labels
    }

    fn encode_colos(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.counter(
            "ravelin_cloudflare_colo_requests",
            "Requests from Cloudflare's addresses by data centre, the end of CF-Ray; other: no such name, or more than 512",
            |family| {
                let mut colos = BTreeMap::new();
                for (colo, requests) in self.workers.iter().flat_map(|worker| worker.colos.read()) {
                    *colos.entry(colo).or_insert(0) += requests;
                }
                colos.iter().try_for_each(|(colo, count)| family.count(&[("colo", colo)], *count))
            },
        )
    }

    /// The labels of a series that are told.
    fn labels<'s>(&self, series: &'s Series) -> Labels<'s> {
        let (all, of) = (self.metrics.labels, series.labels());
        let told = self.metrics.per_route != PerRoute::Nothing;
        let label = |is_told: bool, text: &'s str| if told && is_told { text } else { "" };
        [
            &of.listener,
            label(all.host, &of.host),
            label(all.route, &of.route),
            label(all.service, &of.service),
        ]
    }

    fn count(
        &self,
        family: &mut Family<'_>,
        labels: &Labels<'_>,
        series: &[&Series],
    ) -> fmt::Result {
        let mut requests = Requests::new();
        for (method, class, reason, count) in series.iter().flat_map(|series| series.counts()) {
            let method = if self.metrics.labels.method { method.as_str() } else { "" };
            let key = (method, class, reason.map_or("", Reason::label));
            *requests.entry(key).or_insert(0) += count;
        }
        for ((method, class, reason), count) in requests {
            let status = format!("{class}xx");
            let mut labels = told(labels);
            if !method.is_empty() {
                labels.push(("method", method));
            }
            labels.extend([("status", &*status), ("reason", reason)]);
            family.count_by(&labels, count)?;
        }
        Ok(())
    }

    /// Times and bytes: of routes, or of listeners.
    pub(super) fn flows<'s>(&'s self, series: &By<'s, Series>) -> By<'s, Flow> {
        if self.metrics.per_route == PerRoute::All {
            let flows = |series: &Vec<&'s Series>| series.iter().map(|one| &*one.flow).collect();
            return series.iter().map(|(labels, series)| (*labels, flows(series))).collect();
        }
        let of = |position: usize| {
            self.workers.iter().filter_map(move |worker| worker.flows.get(position).map(|f| &**f))
        };
        let listeners = self.listeners.iter().enumerate();
        listeners.map(|(position, name)| ([name, "", "", ""], of(position).collect())).collect()
    }
}

fn encode_flows(encoder: &mut Families<'_>, flows: &By<'_, Flow>) -> fmt::Result {
    let mut histogram = |name, help, of: fn(&Flow) -> &Histogram| {
        encoder.histogram(name, help, |family| {
            flows.iter().try_for_each(|(labels, flows)| {
                let mut totals = Totals::default();
                flows.iter().for_each(|flow| totals.add(of(flow)));
                family.totals(&told(labels), &totals)
            })
        })
    };
    histogram(DURATIONS, DURATIONS_HELP, |flow| &flow.durations)?;
    histogram(
        "ravelin_upstream_duration_seconds",
        "Time from sending the request upstream to the response head",
        |flow| &flow.upstream,
    )?;
    encoder.counter(
        "ravelin_body_bytes",
        "Body bytes from (in) and to (out) the client",
        |family| {
            for (labels, flows) in flows {
                let sum = |of: fn(&Flow) -> u64| flows.iter().map(|flow| of(flow)).sum::<u64>();
                let bytes = [
                    ("in", sum(|flow| flow.bytes_in.total())),
                    ("out", sum(|flow| flow.bytes_out.total())),
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

/// The labels as they are written.
pub(super) fn told<'l>(labels: &Labels<'l>) -> Vec<(&'static str, &'l str)> {
    let names = ["listener", "host", "route", "service"];
    names.into_iter().zip(*labels).filter(|(_, value)| !value.is_empty()).collect()
}
