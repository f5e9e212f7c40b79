//! Endpoints that are asked by the clock, and left out while they fail.

use crate::support::{Builder, Edge, Upstream, edge, eventually, ingress, rule, service, slice};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const WEB: [(&str, &str); 1] = [("service", "web:http")];

/// A backend whose check passes or not, as it is told. Visitors are always answered.
struct Checked {
    upstream: Upstream,
    fit: Arc<AtomicBool>,
}

impl Checked {
    fn saying(text: &'static str) -> Self {
        let fit = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&fit);
        let upstream = Upstream::scripted(move |conn| {
            while let Some(request) = conn.request() {
                match request.start.starts_with("GET /healthz?full ") {
                    true if !seen.load(Ordering::Relaxed) => {
                        conn.send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
                    }
                    _ => conn.answer(text),
                }
            }
        });
        Self { upstream, fit }
    }

    fn set_fit(&self, fit: bool) {
        self.fit.store(fit, Ordering::Relaxed);
    }

    /// The checks that it has seen.
    fn checks(&self) -> Vec<String> {
        let requests = self.upstream.requests().into_iter();
        let checks = requests.filter(|request| request.start.starts_with("GET /healthz?full "));
        checks.map(|check| check.field("host").unwrap_or_default().to_owned()).collect()
    }
}

fn annotated(annotations: &Value) -> Value {
    let mut service = service("web", "http", 80);
    service["metadata"]["annotations"] = annotations.clone();
    service
}

fn with_checks(annotations: &Value, endpoints: &[SocketAddr]) -> Builder {
    let edge = edge()
        .object("web.json", &annotated(annotations))
        .object("web-ingress.json", &ingress("all", &[rule("", &[("/", "Prefix", "web")])]));
    endpoints.iter().enumerate().fold(edge, |edge, (number, endpoint)| {
        let name = format!("web-{number}");
        edge.object(&format!("{name}.json"), &slice(&name, "web", "http", *endpoint))
    })
}

fn checks() -> Value {
    json!({
        "ravelin.dev/health-check-path": "/healthz?full",
        "ravelin.dev/health-check-interval": "1s",
    })
}

fn answers(edge: &Edge, count: usize) -> Vec<String> {
    let mut client = edge.connect();
    (0..count).map(|_| client.get("a", "/").text().to_owned()).collect()
}

#[test]
fn what_fails_its_checks_gets_no_visitors_until_it_passes_one() {
    let (good, bad) = (Checked::saying("good"), Checked::saying("bad"));
    let edge = with_checks(&checks(), &[good.upstream.addr(), bad.upstream.addr()]).start();
    eventually("both are used", || {
        let seen = answers(&edge, 20);
        (seen.contains(&"good".to_owned()) && seen.contains(&"bad".to_owned())).then_some(())
    });
    bad.set_fit(false);
    edge.await_metric("ravelin_endpoints_ejected", &WEB, 1.0);
    assert!(bad.checks().len() >= 3, "one failure is none");
    assert_eq!(answers(&edge, 50), vec!["good"; 50]);
    bad.set_fit(true);
    edge.await_metric("ravelin_endpoints_ejected", &WEB, 0.0);
    eventually("it is used again", || answers(&edge, 20).contains(&"bad".to_owned()).then_some(()));
    let failed = edge.metrics().sum("ravelin_health_checks_total", &[("result", "failed")]);
    assert!(failed > 2.5, "{failed}");
    let host = bad.upstream.addr().to_string();
    assert!(bad.checks().iter().all(|seen| *seen == host), "as a kubelet's: {:?}", bad.checks());
}

#[test]
fn where_all_fail_their_checks_visitors_still_get_answers() {
    let both = [Checked::saying("one"), Checked::saying("other")];
    both.iter().for_each(|backend| backend.set_fit(false));
    let addrs = [both[0].upstream.addr(), both[1].upstream.addr()];
    let edge = with_checks(&checks(), &addrs).start();
    eventually("both have failed", || {
        both.iter().all(|backend| backend.checks().len() >= 4).then_some(())
    });
    edge.await_metric("ravelin_endpoints_ejected", &WEB, 1.0);
    assert!(answers(&edge, 20).iter().all(|text| text == "one" || text == "other"));
}

#[test]
fn a_host_of_its_own_is_asked_for_and_without_the_annotation_nothing_is() {
    let backend = Checked::saying("here");
    let mut annotations = checks();
    annotations["ravelin.dev/health-check-host"] = "shop.example".into();
    let edge = with_checks(&annotations, &[backend.upstream.addr()]).start();
    eventually("a check", || (!backend.checks().is_empty()).then_some(()));
    assert_eq!(backend.checks()[0], "shop.example");
    backend.set_fit(false);
    eventually("more checks", || (backend.checks().len() >= 5).then_some(()));
    // Whatever was known is forgotten with the checks, of which one may be under way.
    edge.put("web.json", &annotated(&json!({})).to_string());
    edge.await_metric("ravelin_endpoints_ejected", &WEB, 0.0);
    assert_eq!(answers(&edge, 1), ["here"]);
}

#[test]
fn a_backend_that_is_silent_or_refuses_fails_its_checks() {
    let silent = Upstream::scripted(|conn| while conn.request().is_some() {});
    let good = Checked::saying("good");
    let mut annotations = checks();
    annotations["ravelin.dev/health-check-timeout"] = "100ms".into();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let refusing = gone.local_addr().expect("bound");
    drop(gone);
    let other = Checked::saying("other");
    let addrs = [silent.addr(), refusing, good.upstream.addr(), other.upstream.addr()];
    let edge = with_checks(&annotations, &addrs).start();
    edge.await_metric("ravelin_endpoints_ejected", &WEB, 2.0);
    assert!(answers(&edge, 30).iter().all(|text| text == "good" || text == "other"));
}
