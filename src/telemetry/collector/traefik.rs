//! The families of Traefik, by its names and labels.

use super::Telemetry;
use super::families::{Families, Family};
use crate::config::TraefikFamilies;
use crate::telemetry::series::Series;
use crate::telemetry::tls::{TlsSuite, TlsVersion};
use crate::telemetry::traefik::{RequestKind, TraefikCells, TraefikTotals};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Values of the labels of a [`Subject`]; the second is empty where there is one label.
type Names<'s> = [&'s str; 2];

/// Requests by what they are named for, and by kind.
type ByName<'s> = BTreeMap<(Names<'s>, RequestKind), TraefikTotals>;

/// What Traefik names requests for: an entry point, a router, a Service.
struct Subject<'s> {
    /// What the families are named by.
    family: &'static str,
    /// Its labels.
    labels: &'static [&'static str],
    /// Which kinds of requests count.
    counts: fn(&RequestKind) -> bool,
    cells: Vec<(Names<'s>, &'s TraefikCells)>,
}

impl Telemetry {
    pub(super) fn encode_traefik(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let TraefikFamilies { entry_points, routers, services } = self.metrics.traefik;
        if !self.metrics.traefik.is_any() {
            return Ok(());
        }
        let series: Vec<Arc<Series>> =
            self.workers.iter().flat_map(|worker| worker.series()).collect();
        let cells = || series.iter().filter_map(|one| Some((&**one, one.traefik()?)));
        if entry_points {
            let named = cells().filter_map(|(series, cells)| {
                let listener = &series.labels().listener;
                let position = self.listeners.iter().position(|name| name == listener)?;
                Some(([self.entry_point(position), ""], cells))
            });
            let labels = &["entrypoint"];
            let cells = named.collect();
            encode(encoder, &Subject { family: "entrypoint", labels, counts: |_| true, cells })?;
        }
        let names = || cells().filter_map(|(_, cells)| Some((cells.names.as_ref()?, cells)));
        if routers {
            let named = names().map(|(names, cells)| ([&*names.router, &*names.service], cells));
            let labels = &["router", "service"];
            let cells = named.collect();
            encode(encoder, &Subject { family: "router", labels, counts: |_| true, cells })?;
        }
        if services {
            // Where a route has several Services, requests are theirs.
            let several: Vec<_> = cells().flat_map(|(_, cells)| cells.services()).collect();
            let of_several = several.iter().filter_map(|one| Some((one.names.as_ref()?, &**one)));
            let of_one = names().filter(|(_, cells)| cells.services().is_empty());
            let named = of_one.chain(of_several);
            let labels = &["service"];
            let cells = named.map(|(names, cells)| ([&*names.service, ""], cells)).collect();
            let subject =
                Subject { family: "service", labels, counts: |kind| kind.is_asked, cells };
            encode(encoder, &subject)?;
            encode_retries(encoder, &subject)?;
        }
        self.encode_process(encoder)
    }

    /// The entry point of a listener, by its position.
    fn entry_point(&self, position: usize) -> &str {
        let names = self.entry_points.get();
        names.and_then(|names| names.get(position)).unwrap_or(&self.listeners[position])
    }

    /// What is not counted by request.
    fn encode_process(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let mut open: BTreeMap<&str, i64> = BTreeMap::new();
        for position in 0..self.listeners.len() {
            *open.entry(self.entry_point(position)).or_default() += self.open_at(position);
        }
        encoder.gauge("traefik_open_connections", "Client connections open", |family| {
            open.iter().try_for_each(|(name, open)| {
                family.gauge(&[("entrypoint", name), ("protocol", "TCP")], *open)
            })
        })?;
        let reloads = self.changes.iter().map(|count| count.total()).sum();
        encoder.counter(
            "traefik_config_reloads",
            "Batches of object changes put in force",
            |family| family.count::<0>(&[], reloads),
        )?;
        let published = self.snapshot().published;
        encoder.gauge(
            "traefik_config_last_reload_success",
            "When the table was put in force",
            |family| family.gauge_f64::<0>(&[], published),
        )?;
        let ends = self.certificates.read().leaves;
        encoder.gauge("traefik_tls_certs_not_after", "When a certificate expires", |family| {
            ends.iter().try_for_each(|leaf| {
                let labels = [("cn", &*leaf.cn), ("serial", &*leaf.serial), ("sans", &*leaf.sans)];
                family.gauge(&labels, leaf.not_after)
            })
        })
    }
}

/// The families of requests that are named for something.
fn encode(encoder: &mut Families<'_>, subject: &Subject<'_>) -> fmt::Result {
    let mut all = ByName::new();
    for (name, cells) in &subject.cells {
        cells.add_to(|kind, durations, bytes_in, bytes_out| {
            if !(subject.counts)(&kind) {
                return;
            }
            let kind = RequestKind { is_asked: true, ..kind };
            let totals = all.entry((*name, kind)).or_default();
            totals.durations.add(durations);
            totals.bytes_in += bytes_in;
            totals.bytes_out += bytes_out;
        });
    }
    let Subject { family: word, labels, .. } = subject;
    let mut counter = |what: &str, help: &str, of: fn(&TraefikTotals) -> u64| {
        encoder.counter(&format!("traefik_{word}_{what}"), help, |family| {
            each(&all, labels, |labels, totals| family.count_by(labels, of(totals)))
        })
    };
    counter("requests", "Requests by exact status", |totals| totals.durations.count())?;
    counter("requests_bytes", "Body bytes from the client", |totals| totals.bytes_in)?;
    counter("responses_bytes", "Body bytes to the client", |totals| totals.bytes_out)?;
    encoder.histogram(
        &format!("traefik_{word}_request_duration_seconds"),
        "Time from the request head to the last byte of the response",
        |family| each(&all, labels, |labels, totals| family.totals(labels, &totals.durations)),
    )?;
    encoder.counter(&format!("traefik_{word}_requests_tls"), "Requests within TLS", |family| {
        encode_tls(family, subject)
    })
}

/// Calls `act` with the labels of each kind of requests.
fn each(
    all: &ByName<'_>,
    labels: &[&str],
    mut act: impl FnMut(&[(&str, &str)], &TraefikTotals) -> fmt::Result,
) -> fmt::Result {
    all.iter().try_for_each(|((names, kind), totals)| {
        let of_kind = [
            ("code", kind.status.as_str()),
            ("method", kind.method()),
            ("protocol", kind.protocol.label()),
        ];
        act(&with_names(of_kind, labels, names), totals)
    })
}

/// Labels of requests, and behind them those of what they are named for.
fn with_names<'l>(
    labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    own: &[&'l str],
    names: &Names<'l>,
) -> Vec<(&'l str, &'l str)> {
    labels.into_iter().chain(own.iter().copied().zip(names.iter().copied())).collect()
}

fn encode_tls(family: &mut Family<'_>, subject: &Subject<'_>) -> fmt::Result {
    let mut all: BTreeMap<(Names<'_>, &str, &str), u64> = BTreeMap::new();
    for (names, cells) in &subject.cells {
        for version in TlsVersion::ALL {
            for suite in TlsSuite::ALL {
                let count = cells.tls[version as usize][suite as usize].total();
                *all.entry((*names, version.label(), suite.label())).or_default() += count;
            }
        }
    }
    let mut seen = all.into_iter().filter(|(_, count)| *count > 0);
    seen.try_for_each(|((names, version, suite), count)| {
        let of_tls = [("tls_version", version), ("tls_cipher", suite)];
        family.count_by(&with_names(of_tls, subject.labels, &names), count)
    })
}

fn encode_retries(encoder: &mut Families<'_>, subject: &Subject<'_>) -> fmt::Result {
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for ([name, _], cells) in &subject.cells {
        *all.entry(name).or_default() += cells.retries.total();
    }
    encoder.counter("traefik_service_retries", "Requests sent again", |family| {
        all.iter().try_for_each(|(name, count)| family.count(&[("service", name)], *count))
    })
}
