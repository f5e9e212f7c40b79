//! The metrics of Traefik, of both proxies, after the same requests: families, labels, and how many requests each
//! Service got with which status.

use crate::Run;
use crate::lab::Lab;
use std::collections::{BTreeMap, BTreeSet};

/// The labels of each family of requests.
type Shape = BTreeMap<String, BTreeSet<String>>;

/// How many requests there were: by Service or router, method, status and protocol.
type Counts = BTreeMap<[String; 4], u64>;

/// Families of Traefik that are not ours, and why.
const NOT_OURS: [(&str, &str); 2] = [
    ("traefik_service_server_up", "ravelin_endpoints_ejected tells it of Services with checks"),
    ("traefik_config_reloads_failure", "of versions before 3"),
];

/// Compares the two pages.
pub(crate) fn compare(lab: &Lab, run: &Run) {
    let [theirs, ours] = lab.metrics();
    let (their_shape, our_shape) = (shape(&theirs), shape(&ours));
    for (family, labels) in &their_shape {
        let is_known = NOT_OURS.iter().any(|(name, _)| family == name);
        if !is_known && our_shape.get(family) != Some(labels) {
            let own = our_shape.get(family);
            run.fail(format!(
                "metrics: {family} has the labels {labels:?} in Traefik, here {own:?}"
            ));
        }
    }
    assert!(their_shape.len() > 12, "{their_shape:?}");
    // Some cases have the two answer differently; their rows say so. Most of those are refusals, which routers count.
    for (what, label, family, least) in [
        ("Services", "service", "traefik_service_requests_total{", 98),
        ("routers", "router", "traefik_router_requests_total{", 97),
    ] {
        let (theirs, ours) = (counts(&theirs, label, family), counts(&ours, label, family));
        for provider in ["@kubernetes", "@kubernetescrd"] {
            let of_provider = theirs.iter().filter(|(key, _)| key[0].ends_with(provider));
            compare_counts(&format!("{what} {provider}"), of_provider, &ours, least, run);
        }
    }
}

/// Compares how many requests each has had: at least so many per cent have to count alike.
fn compare_counts<'c>(
    what: &str,
    theirs: impl Iterator<Item = (&'c [String; 4], &'c u64)>,
    ours: &Counts,
    least: u64,
    run: &Run,
) {
    let (mut all, mut alike) = (0, 0);
    for (key, count) in theirs {
        let own = ours.get(key).copied().unwrap_or_default();
        all += count;
        alike += own.min(*count);
        if std::env::var_os(crate::SHOW).is_some() && own != *count {
            run.note(&format!("metrics: {key:?}: Traefik {count}, ravelin {own}"));
        }
    }
    run.note(&format!("metrics: {alike} of {all} requests of {what} count alike"));
    assert!(all > 0 && alike * 100 >= all * least, "{what}: {alike} of {all}");
}

/// The request families of Traefik's in a page, with the names of their labels.
fn shape(page: &str) -> Shape {
    let mut shape = Shape::new();
    for (name, labels) in samples(page) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let names = labels.into_keys().filter(|name| name != "le").collect();
        shape.insert(family.unwrap_or(name).to_owned(), names);
    }
    shape
}

fn counts(page: &str, label: &str, family: &str) -> Counts {
    let mut counts = Counts::new();
    for line in page.lines().filter(|line| line.starts_with(family)) {
        let Some((_, labels)) = sample(line) else { continue };
        let of = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
        let key = [of(label), of("method"), of("code"), of("protocol")];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
        {
            *counts.entry(key).or_default() += count.unwrap_or_default() as u64;
        }
    }
    counts
}

fn samples(page: &str) -> impl Iterator<Item = (&str, BTreeMap<String, String>)> {
    page.lines().filter(|line| line.starts_with("traefik_")).filter_map(sample)
}

/// The name and the labels of a sample.
fn sample(line: &str) -> Option<(&str, BTreeMap<String, String>)> {
    let (series, _) = line.rsplit_once(' ')?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some((series, BTreeMap::new()));
    };
    let labels = labels.strip_suffix('}')?.split("\",").filter_map(|label| {
        let (name, value) = label.split_once("=\"")?;
        Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    Some((name, labels.collect()))
}
