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

/// Requests by what Traefik names them for (an entry point, a Service), and by kind.
type ByName<'s> = BTreeMap<(&'s str, RequestKind), TraefikTotals>;

impl Telemetry {
    pub(super) fn encode_traefik(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let TraefikFamilies { entry_points, services } = self.metrics.traefik;
        if !entry_points && !services {
            return Ok(());
        }
        let series: Vec<Arc<Series>> =
            self.workers.iter().flat_map(|worker| worker.series()).collect();
        let cells = || series.iter().filter_map(|one| Some((&**one, one.traefik()?)));
        if entry_points {
            let named = cells().filter_map(|(series, cells)| {
                let listener = &series.labels().listener;
                let position = self.listeners.iter().position(|name| name == listener)?;
                Some((self.entry_point(position), cells))
            });
            encode(encoder, "entrypoint", &named.collect::<Vec<_>>(), |_| true)?;
        }
        if services {
            let named = cells().filter_map(|(_, cells)| Some((cells.service.as_deref()?, cells)));
            let named: Vec<_> = named.collect();
            encode(encoder, "service", &named, |kind| kind.is_asked)?;
            encode_retries(encoder, &named)?;
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

/// The families of requests with one label of Traefik's, of the kinds that count.
fn encode(
    encoder: &mut Families<'_>,
    label: &str,
    cells: &[(&str, &TraefikCells)],
    counts: fn(&RequestKind) -> bool,
) -> fmt::Result {
    let mut all = ByName::new();
    for (name, cells) in cells {
        cells.add_to(|kind, durations, bytes_in, bytes_out| {
            if !counts(&kind) {
                return;
            }
            let kind = RequestKind { is_asked: true, ..kind };
            let totals = all.entry((name, kind)).or_default();
            totals.durations.add(durations);
            totals.bytes_in += bytes_in;
            totals.bytes_out += bytes_out;
        });
    }
    let mut counter = |what: &str, help: &str, of: fn(&TraefikTotals) -> u64| {
        encoder.counter(&format!("traefik_{label}_{what}"), help, |family| {
            each(&all, label, |labels, totals| family.count_by(labels, of(totals)))
        })
    };
    counter("requests", "Requests by exact status", |totals| totals.durations.count())?;
    counter("requests_bytes", "Body bytes from the client", |totals| totals.bytes_in)?;
    counter("responses_bytes", "Body bytes to the client", |totals| totals.bytes_out)?;
    encoder.histogram(
        &format!("traefik_{label}_request_duration_seconds"),
        "Time from the request head to the last byte of the response",
        |family| each(&all, label, |labels, totals| family.totals(labels, &totals.durations)),
    )?;
    encoder.counter(&format!("traefik_{label}_requests_tls"), "Requests within TLS", |family| {
        encode_tls(family, label, cells)
    })
}

/// Calls `act` with the labels of each kind of requests.
fn each(
    all: &ByName<'_>,
    label: &str,
    mut act: impl FnMut(&[(&str, &str)], &TraefikTotals) -> fmt::Result,
) -> fmt::Result {
    all.iter().try_for_each(|((name, kind), totals)| {
        let labels = [
            ("code", kind.status.as_str()),
            ("method", kind.method()),
            ("protocol", kind.protocol.label()),
            (label, name),
        ];
        act(&labels, totals)
    })
}

fn encode_tls(
    family: &mut Family<'_>,
    label: &str,
    cells: &[(&str, &TraefikCells)],
) -> fmt::Result {
    let mut all: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for (name, cells) in cells {
        for version in TlsVersion::ALL {
            for suite in TlsSuite::ALL {
                let count = cells.tls[version as usize][suite as usize].total();
                *all.entry((name, version.label(), suite.label())).or_default() += count;
            }
        }
    }
    let mut seen = all.into_iter().filter(|(_, count)| *count > 0);
    seen.try_for_each(|((name, version, suite), count)| {
        family.count(&[("tls_version", version), ("tls_cipher", suite), (label, name)], count)
    })
}

fn encode_retries(encoder: &mut Families<'_>, cells: &[(&str, &TraefikCells)]) -> fmt::Result {
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, cells) in cells {
        *all.entry(name).or_default() += cells.retries.total();
    }
    encoder.counter("traefik_service_retries", "Requests sent again", |family| {
        all.iter().try_for_each(|(name, count)| family.count(&[("service", name)], *count))
    })
}
