//! What the process says at one moment.

use super::metrics::Series;
use crate::cli::Failure;
use crate::cli::admin::AdminPlace;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Services that are asked for, four answers of the process: more fit no screen.
const SERVICES: usize = 2_000;

/// Certificates that are asked for: the process lists those first that need attention.
const CERTIFICATES: usize = 20;

/// Status classes, from 1xx to 5xx.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests by upper bound of their duration in seconds (as bits of the number, which sort alike), each with all below.
pub(super) type Buckets = BTreeMap<u64, f64>;

/// One moment of the process.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    /// The same by the wall clock, in seconds since the Unix epoch.
    pub(super) wall: i64,
    pub(super) process: Process,
    pub(super) hosts: BTreeMap<String, HostCounts>,
    /// Of all hosts.
    pub(super) durations: Buckets,
    /// Requests that ravelin answered itself, or that broke off, by reason.
    pub(super) reasons: BTreeMap<String, f64>,
    pub(super) gate: GateCounts,
    pub(super) colos: BTreeMap<String, f64>,
    pub(super) pods: Vec<Pod>,
    pub(super) certificates: Vec<HostCertificate>,
}

/// The process in a few numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) version: String,
    /// When it started, in seconds since the Unix epoch; older versions do not say it.
    pub(super) started: Option<i64>,
    /// Why it is not ready.
    pub(super) not_ready: Option<String>,
    /// What is not as it should be, though it serves.
    pub(super) notes: String,
    pub(super) connections: i64,
    pub(super) errors: u64,
    pub(super) warnings: u64,
    /// Whether its last reload was refused.
    pub(super) reload_failing: bool,
}

/// What the ports count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct GateCounts {
    pub(super) accepted: f64,
    /// Connections that were reset: of sources that are not admitted, and over limits.
    pub(super) refused: f64,
    /// Packets of sources that are not admitted, which the kernel dropped.
    pub(super) dropped: f64,
    pub(super) failed_handshakes: f64,
}

/// Requests of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HostCounts {
    pub(super) classes: [f64; CLASSES.len()],
    /// Empty unless `metrics.per_route` is `all`.
    pub(super) durations: Buckets,
    pub(super) services: BTreeSet<String>,
}

/// An endpoint of a Service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pod {
    pub(super) service: String,
    pub(super) address: String,
    /// `ready`, `terminating` or `not_ready`, or `ejected`.
    pub(super) state: String,
    /// So far; wraps after 2^32.
    pub(super) requests: Option<u32>,
    pub(super) in_flight: Option<u64>,
    pub(super) latency_ms: Option<f64>,
}

impl Pod {
    pub(super) fn is_ejected(&self) -> bool {
        self.state == "ejected"
    }
}

/// A certificate with what is left of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostCertificate {
    pub(super) host: String,
    pub(super) days_left: i64,
    /// The status with which Cloudflare refuses it, if it does.
    pub(super) refused_with: Option<u64>,
}

impl Sample {
    /// Asks the process.
    pub(super) fn take(place: &AdminPlace) -> Result<Self, Failure> {
        let status = place.ask("status")?;
        let page = place.page("/metrics")?;
        let services = place.list("pods", SERVICES)?;
        let certificates = place.ask(&format!("certificates?limit={CERTIFICATES}"))?;
        let wall = jiff::Timestamp::now().as_second();
        let mut sample = Self::empty(Instant::now(), wall);
        sample.process = Process::of(&status);
        sample.count_all(&String::from_utf8_lossy(&page));
        sample.pods = services.iter().flat_map(pods).collect();
        sample.certificates = expiries(&certificates);
        Ok(sample)
    }

    /// A moment without any counts.
    pub(super) fn empty(at: Instant, wall: i64) -> Self {
        Self {
            at,
            wall,
            process: Process::default(),
            hosts: BTreeMap::new(),
            durations: Buckets::new(),
            reasons: BTreeMap::new(),
            gate: GateCounts::default(),
            colos: BTreeMap::new(),
            pods: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// Adds what the metrics count.
    pub(super) fn count_all(&mut self, metrics: &str) {
        metrics.lines().filter_map(Series::parse).for_each(|series| self.count(&series));
    }

    fn count(&mut self, series: &Series<'_>) {
        let value = series.value;
        match series.name {
            "ravelin_requests_total" => self.count_requests(series),
            "ravelin_request_duration_seconds_bucket" => self.count_durations(series),
            "ravelin_connections_accepted_total" => self.gate.accepted += value,
            "ravelin_connections_refused_total" => self.gate.refused += value,
            "ravelin_admission_dropped_packets_total" => self.gate.dropped += value,
            "ravelin_tls_handshake_failures_total" => self.gate.failed_handshakes += value,
            "ravelin_cloudflare_colo_requests_total" => {
                *self.colos.entry(series.label("colo")).or_default() += value;
            }
            "ravelin_config_reload_failing" => self.process.reload_failing = value > 0.0,
            _ => {}
        }
    }

    fn count_requests(&mut self, series: &Series<'_>) {
        let reason = series.label("reason");
        if !reason.is_empty() {
            *self.reasons.entry(reason).or_default() += series.value;
        }
        let class = series.label("status");
        let Some(class) = CLASSES.iter().position(|known| *known == class) else { return };
        let host = self.hosts.entry(series.label("host")).or_default();
        host.classes[class] += series.value;
        let service = series.label("service");
        if !service.is_empty() {
            host.services.insert(service);
        }
    }

    fn count_durations(&mut self, series: &Series<'_>) {
        let Ok(bound) = series.label("le").parse::<f64>() else { return };
        let bound = bound.to_bits();
        *self.durations.entry(bound).or_default() += series.value;
        let host = series.label("host");
        if !host.is_empty() {
            let of_host = &mut self.hosts.entry(host).or_default().durations;
            *of_host.entry(bound).or_default() += series.value;
        }
    }
}

impl Process {
    /// Of `/api/v1/status`.
    pub(super) fn of(status: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(|text| text.trim().replace('\n', "; "));
        let findings = |severity: &str| status["findings"][severity].as_u64().unwrap_or_default();
        Self {
            version: text(&status["version"]).unwrap_or_default(),
            started: status["started"].as_i64(),
            not_ready: text(&status["not_ready"]),
            notes: text(&status["notes"]).unwrap_or_default(),
            connections: status["connections_open"].as_i64().unwrap_or_default(),
            errors: findings("error"),
            warnings: findings("warning"),
            reload_failing: false,
        }
    }
}

/// The endpoints of an entry of `/api/v1/pods`.
pub(super) fn pods(service: &Value) -> Vec<Pod> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let endpoints = service["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pod = |endpoint: &Value| Pod {
        service: text(&service["service"]),
        address: text(&endpoint["address"]),
        state: match endpoint["failing"] == true {
            true => "ejected".to_owned(),
            false => text(&endpoint["state"]),
        },
        requests: endpoint["requests"].as_u64().and_then(|count| u32::try_from(count).ok()),
        in_flight: endpoint["in_flight"].as_u64(),
        latency_ms: endpoint["latency_ms"].as_f64(),
    };
    endpoints.iter().map(pod).collect()
}

/// Of `/api/v1/certificates`.
pub(super) fn expiries(answer: &Value) -> Vec<HostCertificate> {
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |item: &Value| {
        Some(HostCertificate {
            host: item["host"].as_str()?.to_owned(),
            days_left: item["days_left"].as_i64()?,
            refused_with: item["cloudflare_answers"].as_u64(),
        })
    };
    items.iter().filter_map(row).collect()
}
