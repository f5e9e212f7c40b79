//! Whether what an expression names is there: metrics and labels in the reference of `config/README.md` (which other
//! tests compare with the code), reasons in the code.

use crate::expression::{Matcher, names};
use ravelin::error::Reason;
use ravelin::pki::full_strict::Verdict;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Metrics of others: Prometheus itself, and exporters of Cloudflare's analytics (lablabs/cloudflare-exporter has the
/// two families, with these labels among others).
const OTHERS: [(&str, &[&str]); 4] = [
    ("up", &["job"]),
    ("ALERTS", &["alertname", "alertstate"]),
    ("cloudflare_zone_requests_status_country_host", &["host", "status"]),
    ("cloudflare_zone_requests_origin_status_country_host", &["host", "status"]),
];

/// Labels by metric, as scrapes have them.
pub(crate) struct Reference(BTreeMap<String, Vec<String>>);

impl Reference {
    /// That of `config/README.md`.
    pub(crate) fn read() -> Self {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/README.md");
        let page = fs::read_to_string(page).expect("the reference");
        let mut metrics = BTreeMap::new();
        for line in page.lines() {
            let Some(cells) = line.strip_prefix("| `ravelin_") else { continue };
            let cells: Vec<&str> = cells.split('|').map(str::trim).collect();
            let name = format!("ravelin_{}", cells[0].trim_end_matches('`'));
            let words = cells[2].split([',', '`', ' ']).filter(|word| !word.is_empty());
            let labels: Vec<String> =
                words.filter(|word| *word != "none").map(str::to_owned).collect();
            if cells[1] == "histogram" {
                for end in ["_bucket", "_sum", "_count"] {
                    metrics.insert(format!("{name}{end}"), durations(labels.clone()));
                }
            } else {
                metrics.insert(name, labels);
            }
        }
        assert!(metrics.len() > 100, "only {} metrics are read", metrics.len());
        for (name, labels) in OTHERS {
            metrics.insert(name.to_owned(), labels.iter().map(|&label| label.to_owned()).collect());
        }
        Self(metrics)
    }

    /// What is wrong with the names in an expression, a line each.
    pub(crate) fn mistakes(&self, expression: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        let names = names(expression);
        let mut known = vec!["instance".to_owned()];
        for selector in &names.selectors {
            let Some(labels) = self.0.get(&selector.metric) else {
                mistakes.push(format!("there is no metric {}", selector.metric));
                continue;
            };
            known.extend(labels.iter().cloned());
            for matcher in &selector.matchers {
                if matcher.label != "instance" && !labels.contains(&matcher.label) {
                    mistakes.push(format!("{} has no label {}", selector.metric, matcher.label));
                }
                let reasons = Reason::ALL.iter().map(|reason| reason.label());
                let verdicts = Verdict::ALL.iter().map(|verdict| verdict.label());
                match (selector.metric.as_str(), matcher.label.as_str()) {
                    ("ravelin_requests_total", "reason") => {
                        mistakes.extend(unknown(matcher, &reasons.collect::<Vec<_>>()));
                    }
                    (_, "verdict") => {
                        mistakes.extend(unknown(matcher, &verdicts.collect::<Vec<_>>()));
                    }
                    _ => {}
                }
            }
        }
        let grouping = names.grouping.iter().filter(|label| !known.contains(label));
        mistakes.extend(grouping.map(|label| format!("no metric here has the label {label}")));
        mistakes
    }
}

/// What matchers of an expression compare with, as queries that have a result if there is such a value. Left out is what
/// closed lists of the code are held against, and what a healthy edge does not show.
pub(crate) fn values(expression: &str) -> Vec<String> {
    let mut queries = Vec::new();
    for selector in names(expression).selectors {
        let metric = &selector.metric;
        if OTHERS.iter().any(|(other, _)| other == metric) || metric == "ravelin_rejected_objects" {
            continue;
        }
        for Matcher { label, value, .. } in &selector.matchers {
            let is_listed = metric == "ravelin_requests_total" && label == "reason";
            if label == "verdict" || is_listed || value.contains('$') {
                continue;
            }
            let alternatives = value.split('|').filter(|value| !value.is_empty());
            queries.extend(alternatives.map(|value| format!("{metric}{{{label}=~\"{value}\"}}")));
        }
    }
    queries
}

/// With `metrics.per_route = "all"`, the labels of routes as well.
fn durations(mut labels: Vec<String>) -> Vec<String> {
    labels.extend(["le", "host", "route", "service"].map(str::to_owned));
    labels
}

/// Alternatives of a matcher that fit none of these values.
fn unknown(matcher: &Matcher, values: &[&str]) -> Vec<String> {
    let is_known = |pattern: &str| match pattern.strip_suffix(".*") {
        Some(start) => values.iter().any(|value| value.starts_with(start)),
        None => pattern.is_empty() || values.contains(&pattern),
    };
    let alternatives = matcher.value.split('|').filter(|it| !is_known(it));
    alternatives.map(|it| format!("there is no {} {it}", matcher.label)).collect()
}

#[test]
fn names_that_are_not_there_are_found() {
    let reference = Reference::read();
    let wrong = "sum by (hosts) (rate(ravelin_requests_total{statu=\"5xx\",reason=~\"no_route|no_rout\"}[5m])) / ravelin_up";
    assert_eq!(
        reference.mistakes(wrong),
        [
            "ravelin_requests_total has no label statu",
            "there is no reason no_rout",
            "there is no metric ravelin_up",
            "no metric here has the label hosts"
        ]
    );
    let right = "histogram_quantile(0.99, sum by (le, host) (rate(ravelin_request_duration_seconds_bucket{host!=\"\"}[1m])))";
    assert_eq!(reference.mistakes(right), Vec::<String>::new());
}
