//! `healthCheck` of services.

use super::services::{HOST, object, several, to};
use crate::support::{Edge, Upstream, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A pod that answers `/up` with 204 while it is fit, else with 200, and everything else with its name.
fn checked(name: &'static str) -> (Upstream, Arc<AtomicBool>) {
    let fit = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&fit);
    let pod = Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            if request.start.contains(" /moved ") {
                conn.send("HTTP/1.1 302 Found\r\nLocation: /up\r\nContent-Length: 0\r\n\r\n");
            } else if request.start.contains(" /up ") && seen.load(Ordering::Relaxed) {
                conn.send("HTTP/1.1 204 No Content\r\n\r\n");
            } else if request.start.starts_with("HEAD ") {
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            } else {
                conn.answer(name);
            }
        }
    });
    (pod, fit)
}

/// A proxy with a failover from `main`, which is checked so, to `two`.
fn guarded(pod: &Upstream, check: &Value) -> (Edge, [Upstream; 2]) {
    let (builder, pods) = several();
    let spec = json!({"failover": {"errors": {},
        "service": {"name": "main", "port": 80, "healthCheck": check},
        "fallback": {"name": "two", "port": 80}}});
    let edge = builder
        .service("main", &[pod.addr()])
        .object("safe.json", &object("TraefikService", "safe", &spec))
        .object("app.json", &to(&json!([{"name": "safe", "kind": "TraefikService"}])))
        .start();
    (edge, pods)
}

fn await_answer(edge: &Edge, text: &str) {
    eventually(text, || (edge.get(HOST, "/").text() == text).then_some(()));
}

#[test]
fn a_failover_takes_the_fallback_while_all_pods_fail_their_check() {
    let (pod, fit) = checked("main");
    let check = json!({"path": "/up", "method": "HEAD", "status": 204, "hostname": "check.example",
        "headers": {"X-Check": "1"}, "interval": "1s", "unhealthyInterval": "1s", "timeout": "2s"});
    let (edge, _pods) = guarded(&pod, &check);
    await_answer(&edge, "main");
    fit.store(false, Ordering::Relaxed);
    await_answer(&edge, "two");
    fit.store(true, Ordering::Relaxed);
    await_answer(&edge, "main");
    let requests = pod.requests();
    let asked = requests.iter().find(|request| request.start == "HEAD /up HTTP/1.1");
    let asked = asked.expect("it is checked as it is written");
    assert_eq!(asked.field("host"), Some("check.example"));
    assert_eq!(asked.field("x-check"), Some("1"));
}

#[test]
fn a_redirect_is_followed_where_it_leads_to_the_pod_and_another_port_can_be_asked() {
    let (pod, fit) = checked("main");
    let other = Upstream::saying("main");
    let port = pod.addr().port();
    let check = json!({"path": "/moved", "status": 204, "port": port, "interval": "1s"});
    let (edge, _pods) = guarded(&other, &check);
    eventually("a check passes", || {
        let passed = edge.metrics().sum("ravelin_health_checks_total", &[("result", "passed")]);
        (passed >= 1.0).then_some(())
    });
    edge.await_metric("ravelin_health_checks_total", &[("result", "failed")], 0.0);
    assert_eq!(edge.get(HOST, "/").text(), "main");
    fit.store(false, Ordering::Relaxed);
    await_answer(&edge, "two");
    assert!(other.requests().iter().all(|request| request.start == "GET / HTTP/1.1"));
}
