//! Outages of the API server, one after the other: from its first `/readyz` that is 200 to the list of
//! the last kind.
//!
//! Each is long enough for every back-off to have reached its bound (30 s, after 32 s); what comes
//! behind that changes nothing.

use crate::edge::{Edge, Page, Setup, account, class};
use crate::figures::{report, summary};
use crate::plane::Plane;
use std::thread;
use std::time::{Duration, Instant};

const KINDS: [&str; 6] = ["EndpointSlice", "Ingress", "IngressClass", "Node", "Secret", "Service"];
/// Between two looks at the metrics.
const LOOK: Duration = Duration::from_millis(20);

/// A number from the environment, for a shorter run.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn lists(page: &Page, kind: &str) -> f64 {
    page.sum("ravelin_watch_lists_total", &[("kind", kind)])
}

#[test]
#[ignore = "prints figures and takes twenty minutes"]
fn every_kind_is_current_within_two_seconds_of_the_return_of_the_api_server() {
    let Some(plane) = Plane::start() else { return };
    let kubeconfig = account(&plane, "outages");
    class(&plane, "outages");
    let setup = Setup { kubeconfig: &kubeconfig, class: "outages", keys: "" };
    let edge = Edge::ready(&plane, &setup);
    let (rounds, length) = (setting("RAVELIN_OUTAGES", 20), setting("RAVELIN_OUTAGE_SECONDS", 60));
    let mut all = Vec::new();
    let mut last_kinds = Vec::new();
    for round in 1..=rounds {
        // A token has ten minutes.
        plane.renew_token("outages", "ravelin");
        plane.kill_api_server();
        thread::park_timeout(Duration::from_secs(length));
        let before = edge.metrics();
        plane.restart_api_server();
        let back = Instant::now();
        let mut missing = KINDS.to_vec();
        let mut last = Duration::ZERO;
        while !missing.is_empty() {
            assert!(back.elapsed() < crate::PATIENCE, "{missing:?} are not listed");
            let now = edge.metrics();
            missing.retain(|kind| {
                let is_listed = lists(&now, kind) > lists(&before, kind);
                if is_listed {
                    last = back.elapsed();
                    all.push(last);
                }
                !is_listed
            });
            thread::park_timeout(LOOK);
        }
        report(
            &format!("outage {round}: last kind after"),
            &format!("{:.2} s", last.as_secs_f64()),
        );
        last_kinds.push(last);
    }
    report("return to listed, each kind", &summary(&mut all));
    report("return to listed, last kind", &summary(&mut last_kinds));
    let within = all.iter().filter(|time| **time <= Duration::from_secs(2)).count();
    assert!(within * 100 >= all.len() * 95, "{within} of {} within two seconds", all.len());
}
