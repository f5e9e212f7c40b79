//! Endpoints that fail in a row are left out, and come back; retries have a budget.

use crate::support::{Edge, Refusing, Silent, Upstream, edge_to, eventually};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const WEB: [(&str, &str); 1] = [("service", "web:http")];

/// One endpoint between two that answer, and a proxy that connects quickly or not at all.
fn between(addr: SocketAddr, living: &[Upstream; 2]) -> Edge {
    let addrs = [living[0].addr(), addr, living[1].addr()];
    edge_to(&addrs).timeout("connect", "100ms").start()
}

fn living() -> [Upstream; 2] {
    [Upstream::saying("alive"), Upstream::saying("alive")]
}

/// How many probes there can have been: the first is due after 1.6 s, and none sooner after another.
fn probes(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() / 1.6).floor()
}

/// Sends requests until the bad endpoint has been left out, and some more.
fn ask_until_ejected(edge: &Edge) {
    let mut client = edge.connect();
    eventually("an endpoint is left out", || {
        assert_eq!(client.get("a", "/").text(), "alive");
        let ejected = edge.metrics().sum("ravelin_upstream_ejections_total", &[]);
        (ejected > 0.5).then_some(())
    });
    for _ in 0..50 {
        assert_eq!(client.get("a", "/").text(), "alive");
    }
    edge.await_metric("ravelin_endpoints_ejected", &WEB, 1.0);
}

fn ask_until_back(edge: &Edge) {
    let mut client = edge.connect();
    eventually("its probe is answered", || {
        let response = client.get("a", "/");
        assert_eq!(response.status(), 200);
        (response.text() == "back").then_some(())
    });
    edge.await_metric("ravelin_endpoints_ejected", &WEB, 0.0);
}

#[test]
fn an_endpoint_that_refuses_connections_is_left_out_until_it_answers_a_probe() {
    let (begun, refusing, living) = (Instant::now(), Refusing::new(), living());
    let edge = between(refusing.addr(), &living);
    ask_until_ejected(&edge);
    let failed = edge.metrics().sum("ravelin_upstream_connects_total", &[("result", "failed")]);
    assert!(failed <= 3.0 + probes(begun), "{failed} failures");
    let retries =
        edge.metrics().sum("ravelin_upstream_retries_total", &[("reason", "connect_failed")]);
    assert!((retries - failed).abs() < 0.5, "each was made good: {retries} of {failed}");
    let _back = refusing.open("back");
    ask_until_back(&edge);
}

#[test]
fn an_endpoint_that_does_not_answer_connections_is_left_out() {
    let (begun, silent, living) = (Instant::now(), Silent::new(), living());
    let edge = between(silent.addr(), &living);
    ask_until_ejected(&edge);
    let timeouts =
        edge.metrics().sum("ravelin_upstream_retries_total", &[("reason", "connect_timeout")]);
    assert!((3.0 - 0.5..3.5 + probes(begun)).contains(&timeouts), "{timeouts} timeouts");
}

#[test]
fn an_endpoint_that_closes_before_it_answers_is_left_out_until_it_answers_a_probe() {
    let (begun, living, healed) = (Instant::now(), living(), Arc::new(AtomicBool::new(false)));
    let seen = Arc::clone(&healed);
    let closing = Upstream::scripted(move |conn| {
        if seen.load(Ordering::Relaxed) {
            conn.keep_saying("back");
        } else {
            conn.request();
        }
    });
    let edge = between(closing.addr(), &living);
    // What may be repeated never shows it.
    ask_until_ejected(&edge);
    let retries = edge.metrics().sum("ravelin_upstream_retries_total", &[("reason", "closed")]);
    assert!((2.5..3.5 + probes(begun)).contains(&retries), "{retries} retries");
    healed.store(true, Ordering::Relaxed);
    ask_until_back(&edge);
}

#[test]
fn a_request_that_is_not_safe_to_repeat_is_not_when_a_new_connection_closes() {
    let closing = || {
        Upstream::scripted(|conn| {
            conn.request();
        })
    };
    let both = [closing(), closing()];
    let edge = Edge::to(&[both[0].addr(), both[1].addr()]);
    let mut client = edge.connect();
    client.ask("POST", "a", "/");
    assert_eq!(client.response().status(), 502);
    assert_eq!(both.iter().map(Upstream::connections).sum::<usize>(), 1);
    // One that is safe is repeated once.
    client.ask("GET", "a", "/");
    assert_eq!(client.response().status(), 502);
    assert_eq!(both.iter().map(Upstream::connections).sum::<usize>(), 3);
}

#[test]
fn connections_that_close_when_they_are_used_again_are_no_failure_of_the_endpoint() {
    let closing = || {
        Upstream::scripted(|conn| {
            if conn.request().is_some() {
                conn.answer("once");
            }
            conn.request();
        })
    };
    let both = [closing(), closing()];
    let edge = edge_to(&[both[0].addr(), both[1].addr()]).set("upstream", "eject_after", "1");
    let edge = edge.start();
    let mut client = edge.connect();
    for _ in 0..20 {
        assert_eq!(client.get("a", "/").text(), "once");
    }
    let metrics = edge.metrics();
    let closed = metrics.sum("ravelin_upstream_retries_total", &[("reason", "reused_closed")]);
    assert!(closed > 0.5, "some were used again");
    assert!(metrics.sum("ravelin_upstream_ejections_total", &[]) < 0.5);
}

#[test]
fn answers_of_502_503_and_504_eject_where_that_is_asked_for() {
    let failing = || {
        Upstream::scripted(|conn| {
            while conn.request().is_some() {
                conn.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
            }
        })
    };
    for (asked, ejections) in [("false", 0.0), ("true", 1.0)] {
        let both = [failing(), failing()];
        let edge = edge_to(&[both[0].addr(), both[1].addr()])
            .set("upstream", "eject_on_status", asked)
            .set("upstream", "eject_after", "20")
            .start();
        let mut client = edge.connect();
        // One of two has had twenty by then, and the other not.
        for _ in 0..39 {
            assert_eq!(client.get("a", "/").status(), 503);
        }
        let metrics = edge.metrics();
        let seen = metrics.sum("ravelin_upstream_ejections_total", &[]);
        assert!((seen - ejections).abs() < 0.5, "{asked}: {seen}");
    }
}

#[test]
fn retries_end_with_their_budget() {
    let (begun, dead) = (Instant::now(), [Refusing::new(), Refusing::new()]);
    let edge = edge_to(&[dead[0].addr(), dead[1].addr()])
        .set("upstream", "eject_after", "0")
        .set("upstream", "retry_budget", "0")
        .start();
    let mut client = edge.connect();
    for _ in 0..100 {
        assert_eq!(client.get("a", "/").status(), 502);
    }
    let metrics = edge.metrics();
    let retries = metrics.sum("ravelin_upstream_retries_total", &[]);
    let refused = metrics.sum("ravelin_upstream_retries_refused_total", &[]);
    assert!((retries + refused - 100.0).abs() < 0.5, "{retries} and {refused}");
    // Three a second, of ten seconds at once.
    let most = 30.0 + 3.0 * (begun.elapsed().as_secs_f64() + 1.0);
    assert!((29.5..most).contains(&retries), "{retries}");
}
