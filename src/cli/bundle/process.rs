//! What a running process says of itself; or, offline, what the configuration would serve.

use super::Bundle;
use crate::cli::admin::AdminPlace;
use crate::cli::findings::DiagnosticJson;
use crate::cli::{Output, What, manifests, table};
use std::path::Path;

/// Most entries of a list: a bundle is for people.
const MOST: usize = 20_000;

/// Lists of the status page: name, file, and what is in it.
const LISTS: [(&str, &str, &str); 6] = [
    ("failures", "failures.json", "the last requests that failed, with reason, route and pod"),
    ("findings", "findings.json", "what is not served as written, with fixes"),
    ("routes", "routes.json", "the routing table in force"),
    (
        "certificates",
        "certificates.json",
        "hosts with certificates, their dates and Cloudflare's verdict",
    ),
    ("pods", "pods.json", "Services and their endpoints, as the balancer sees them"),
    ("requests", "requests.json", "counts of requests by route"),
];

/// Adds everything that the process tells. What it does not tell is missing; the rest is taken anyway.
pub(super) fn add(bundle: &mut Bundle, place: &AdminPlace) {
    match place.ask("status") {
        Ok(status) => {
            bundle.add_json("status.json", "version, readiness and counts of the process", &status);
        }
        Err(failure) => return bundle.lack(format!("the process: {}", failure.text)),
    }
    match place.ask("gate") {
        Ok(gate) => bundle.add_json(
            "gate.json",
            "ports, where admission is enforced, Cloudflare's list",
            &gate,
        ),
        Err(failure) => bundle.lack(format!("gate.json: {}", failure.text)),
    }
    for (list, file, about) in LISTS {
        match place.list(list, MOST) {
            Ok(items) => bundle.add_json(file, about, &items),
            Err(failure) => bundle.lack(format!("{file}: {}", failure.text)),
        }
    }
    match place.page("/metrics") {
        Ok(page) => {
            let page = String::from_utf8_lossy(&page).into_owned();
            bundle.add("metrics.txt", "the metrics, as a scrape reads them", page);
        }
        Err(failure) => bundle.lack(format!("metrics.txt: {}", failure.text)),
    }
}

/// Adds what the configuration would serve.
pub(super) fn add_offline(bundle: &mut Bundle, config: &Path) {
    let what = What {
        config: Some(config.to_owned()),
        kubeconfig: None,
        ingress_class: crate::config::defaults::INGRESS_CLASS.to_owned(),
        output: Output::Json,
    };
    match manifests::read(&what, Vec::new()) {
        Ok(read) => {
            let routes = table::rows(&read.build.table);
            bundle.add_json(
                "routes.json",
                "the routes that the configuration and the manifests ask for",
                &routes,
            );
            let findings: Vec<_> = read.build.findings.iter().map(DiagnosticJson::from).collect();
            bundle.add_json(
                "findings.json",
                "what would not be served as written, with fixes",
                &findings,
            );
        }
        // The text may quote the configuration.
        Err(_) => bundle
            .lack("routes.json, findings.json: manifests or cluster cannot be read".to_owned()),
    }
}
