//! A strict reader of OpenMetrics text.

use super::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// One line.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// One scrape.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Type by family.
    pub(crate) families: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

impl Metrics {
    /// Asks an admin port.
    pub(crate) fn scrape(admin: SocketAddr) -> Self {
        let response = Client::connect(admin).get("admin", "/metrics");
        assert_eq!(response.status(), 200);
        Self::parse(response.text())
    }

    /// Parses a page, and checks that every sample belongs to the family before it.
    pub(crate) fn parse(page: &str) -> Self {
        let body = page.strip_suffix("# EOF\n").expect("a page ends with its mark");
        let mut metrics = Self { families: BTreeMap::new(), samples: Vec::new() };
        let mut family = String::new();
        let mut seen = BTreeSet::new();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("name and type");
                family = name.to_owned();
                let before = metrics.families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} is there twice");
            } else if !line.starts_with("# HELP ") && !line.starts_with("# UNIT ") {
                let sample = sample(line);
                assert!(sample.name.starts_with(&family), "{line} is not of {family}");
                assert!(
                    seen.insert((sample.name.clone(), sample.labels.clone())),
                    "{line} is there twice"
                );
                metrics.samples.push(sample);
            }
        }
        metrics
    }

    /// The sum of the samples of this name that have these labels; 0 without any.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(name, value)| {
                    sample.labels.get(*name).is_some_and(|found| found == value)
                })
        };
        self.samples.iter().filter(fits).map(|sample| sample.value).sum()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("series and value");
    let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
    let Some((name, labels)) = series.split_once('{') else {
        return Sample { name: series.to_owned(), labels: BTreeMap::new(), value };
    };
    let mut rest = labels.strip_suffix('}').expect("labels in braces");
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect("a quoted value");
        // No value of ours holds a quote.
        let (text, after) = after.split_once('"').expect("a closing quote");
        assert_eq!(labels.insert(label.to_owned(), text.to_owned()), None, "{line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Sample { name: name.to_owned(), labels, value }
}
