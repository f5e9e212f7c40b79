//! What two moments say of the time between them.

use super::sample::{Buckets, CLASSES, GateCounts, Sample};
use std::collections::{BTreeMap, HashMap};

/// Differences above this are of a pod that has taken an address over, not of a count that wrapped.
const MOST_BETWEEN: u32 = u32::MAX / 2;

/// Events a second between two moments, and the durations of the requests between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) hosts: BTreeMap<String, HostRates>,
    /// Requests of all hosts, by class.
    pub(super) classes: [f64; CLASSES.len()],
    pub(super) quantiles: Quantiles,
    /// By reason, those with the most first; none that is zero.
    pub(super) reasons: Vec<(String, f64)>,
    /// By data centre, likewise.
    pub(super) colos: Vec<(String, f64)>,
    pub(super) gate: GateCounts,
    /// By position in the pods of the later moment; `None` if nothing is known of the time before.
    pub(super) pods: Vec<Option<f64>>,
    /// The counts of the later moment began after the earlier one: the process was started again.
    pub(super) restarted: bool,
}

/// Requests of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HostRates {
    pub(super) classes: [f64; CLASSES.len()],
    /// Since the process started.
    pub(super) total: f64,
    pub(super) quantiles: Quantiles,
}

impl HostRates {
    pub(super) fn all(&self) -> f64 {
        self.classes.iter().sum()
    }
}

/// Durations below which half, and 99 in 100, of the requests were, in milliseconds; `None` without requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Quantiles {
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

impl Quantiles {
    fn of(before: &Buckets, now: &Buckets) -> Self {
        let between = now.iter().map(|(bound, now)| {
            let before = before.get(bound).copied().unwrap_or_default();
            (f64::from_bits(*bound), (now - before).max(0.0))
        });
        let between: Vec<(f64, f64)> = between.collect();
        Self { p50: quantile(&between, 0.5), p99: quantile(&between, 0.99) }
    }
}

/// As `histogram_quantile` of Prometheus: requests are spread evenly within a bucket, and those of the last, which has no
/// upper bound, are at its lower one. Milliseconds.
fn quantile(buckets: &[(f64, f64)], part: f64) -> Option<f64> {
    let wanted = buckets.last().map(|(_, all)| all * part).filter(|wanted| *wanted > 0.0)?;
    let (mut lower, mut below) = (0.0, 0.0);
    for &(upper, count) in buckets {
        if count >= wanted {
            let upper = if upper.is_finite() { upper } else { lower };
            let share = (wanted - below) / (count - below).max(f64::MIN_POSITIVE);
            return Some((lower + (upper - lower) * share) * 1000.0);
        }
        (lower, below) = (upper, count);
    }
    None
}

impl Rates {
    /// Of two moments of a process. Without an earlier one there are no rates, only counts.
    pub(super) fn between(before: Option<&Sample>, now: &Sample) -> Self {
        let Some(before) = before else {
            return Self { pods: vec![None; now.pods.len()], ..Self::of(now, now, 1.0) };
        };
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64().max(0.001);
        if !is_restarted(before, now) {
            return Self::of(before, now, seconds);
        }
        // Everything that is counted has happened since: a reset, as Prometheus takes it.
        let nothing = Sample::empty(before.at, before.wall);
        Self { restarted: true, ..Self::of(&nothing, now, seconds) }
    }

    fn of(before: &Sample, now: &Sample, seconds: f64) -> Self {
        // A count that went down has lost a route, which is no longer counted.
        let rate = |before: f64, now: f64| (now - before).max(0.0) / seconds;
        let no_counts = Default::default();
        let host = |(name, now): (&String, &super::sample::HostCounts)| {
            let before = before.hosts.get(name).unwrap_or(&no_counts);
            let rates = HostRates {
                classes: std::array::from_fn(|at| rate(before.classes[at], now.classes[at])),
                total: now.classes.iter().sum(),
                quantiles: Quantiles::of(&before.durations, &now.durations),
            };
            (name.clone(), rates)
        };
        let hosts: BTreeMap<String, HostRates> = now.hosts.iter().map(host).collect();
        let class = |at: usize| hosts.values().map(|host| host.classes[at]).sum();
        Self {
            classes: std::array::from_fn(class),
            hosts,
            quantiles: Quantiles::of(&before.durations, &now.durations),
            reasons: most_first(&before.reasons, &now.reasons, rate),
            colos: most_first(&before.colos, &now.colos, rate),
            gate: GateCounts {
                accepted: rate(before.gate.accepted, now.gate.accepted),
                refused: rate(before.gate.refused, now.gate.refused),
                dropped: rate(before.gate.dropped, now.gate.dropped),
                failed_handshakes: rate(before.gate.failed_handshakes, now.gate.failed_handshakes),
            },
            pods: of_pods(before, now, seconds),
            restarted: false,
        }
    }
}

/// Whether the counts of `now` began after `before`. Older versions do not say when they started; accepted connections are
/// counted for as long as the process lives.
fn is_restarted(before: &Sample, now: &Sample) -> bool {
    match (before.process.started, now.process.started) {
        (Some(before), Some(now)) => before != now,
        _ => now.gate.accepted < before.gate.accepted,
    }
}

fn most_first(
    before: &BTreeMap<String, f64>,
    now: &BTreeMap<String, f64>,
    rate: impl Fn(f64, f64) -> f64,
) -> Vec<(String, f64)> {
    let of = |(name, now): (&String, &f64)| {
        (name.clone(), rate(before.get(name).copied().unwrap_or_default(), *now))
    };
    let mut rates: Vec<_> = now.iter().map(of).filter(|(_, rate)| *rate > 0.0).collect();
    rates.sort_by(|a, b| b.1.total_cmp(&a.1));
    rates
}

fn of_pods(before: &Sample, now: &Sample, seconds: f64) -> Vec<Option<f64>> {
    let counts = before.pods.iter().map(|pod| ((&pod.service, &pod.address), pod.requests));
    let counts: HashMap<_, _> = counts.collect();
    let rates = now.pods.iter().map(|pod| {
        let now = pod.requests?;
        let before = counts.get(&(&pod.service, &pod.address)).copied().flatten();
        let between = now.wrapping_sub(before.unwrap_or_default());
        // A new pod with the address of an old one counts from zero.
        let between = if between > MOST_BETWEEN { now } else { between };
        Some(f64::from(between) / seconds)
    });
    rates.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_its_bucket() {
        let buckets = [(0.01, 90.0), (0.1, 100.0), (f64::INFINITY, 100.0)];
        let median = quantile(&buckets, 0.5).expect("requests");
        assert!((median - 5.555).abs() < 0.001, "{median}");
        let slow = quantile(&buckets, 0.99).expect("requests");
        assert!((slow - 91.0).abs() < 0.001, "{slow}");
        let last = [(0.01, 0.0), (f64::INFINITY, 5.0)];
        assert_eq!(quantile(&last, 0.5), Some(10.0));
        assert_eq!(quantile(&[(0.01, 0.0), (f64::INFINITY, 0.0)], 0.5), None);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
