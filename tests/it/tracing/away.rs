//! Collectors that are away, slow or refuse: what that costs, and what is told.

use super::traced;
use crate::support::{Edge, Refusing, Upstream, edge_to};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Plays a collector that answers by the number of the request, counted from 0.
fn played(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            let text = answer(count.fetch_add(1, Ordering::Relaxed));
            conn.send(text);
        }
    })
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n")
}

fn ask(edge: &Edge) {
    assert_eq!(edge.get("a", "/").status(), 200);
}

fn await_spans(edge: &Edge, result: &str, count: f64) {
    edge.await_metric("ravelin_trace_spans_total", &[("result", result)], count);
}

#[test]
fn a_collector_that_is_away_costs_no_request_and_gets_the_spans_when_it_is_back() {
    let (pod, collector) = (Upstream::saying("pod"), Refusing::new());
    let url = format!("http://{}", collector.addr());
    let process = traced(edge_to(&[pod.addr()]), &url).spawn(1);
    let ask = || assert_eq!(process.connect().get("a", "/").status(), 200);
    ask();
    let failing = process.await_message("traces cannot be exported");
    assert_eq!((&failing["reason"], &failing["level"]), (&"connect".into(), &"WARN".into()));
    ask();
    let taken = collector.open("");
    process.await_message("traces are exported again");
    taken.await_requests(1);
    let request = taken.requests().remove(0);
    assert_eq!((request.method(), request.target()), ("POST", "/v1/traces"));
    assert_eq!(request.field("content-type"), Some("application/x-protobuf"));
    let told = process.said();
    let again =
        told.iter().filter(|line| line["message"].to_string().contains("cannot be exported"));
    assert_eq!(again.count(), 0, "it is told once: {told:?}");
}

#[test]
fn what_a_collector_refuses_is_counted_and_what_it_cannot_take_now_is_sent_again() {
    let pod = Upstream::saying("pod");
    let collector = played(|number| match number {
        0 => status("400 Bad Request"),
        1 => status("503 Service Unavailable"),
        2 => "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_owned(),
        // partial_success { rejected_spans: 1 }
        3 => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x0a\x02\x08\x01".to_owned(),
        _ => status("200 OK"),
    });
    let edge = traced(edge_to(&[pod.addr()]), &format!("http://{}/own", collector.addr())).start();
    ask(&edge);
    await_spans(&edge, "rejected", 2.0);
    let failing = |count| {
        edge.await_metric("ravelin_trace_export_failing", &[("reason", "status")], count);
    };
    failing(1.0);
    ask(&edge);
    await_spans(&edge, "rejected", 3.0);
    await_spans(&edge, "exported", 1.0);
    failing(0.0);
    ask(&edge);
    await_spans(&edge, "exported", 3.0);
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.target() == "/own"));
    assert_eq!(requests[1].body, requests[3].body, "the same spans");
    assert_eq!(edge.metrics().sum("ravelin_trace_exports_total", &[("result", "status")]), 3.0);
}

#[test]
fn a_collector_that_never_answers_holds_up_nothing_and_the_queue_has_its_bound() {
    let pod = Upstream::saying("pod");
    let collector = Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    });
    let edge = traced(edge_to(&[pod.addr()]), &format!("http://{}", collector.addr()))
        .set("tracing", "queue", "\"256KiB\"")
        .set("tracing", "timeout", "\"1h\"")
        .start();
    let mut client = edge.connect();
    let target = format!("/{}", "a".repeat(1500));
    for _ in 0..400 {
        assert_eq!(client.get("a", &target).status(), 200);
    }
    crate::support::eventually("spans are dropped", || {
        let metrics = edge.metrics();
        let held = metrics.sum("ravelin_trace_queue_bytes", &[]);
        assert!(held <= 262_144.0, "{held}");
        let dropped = metrics.sum("ravelin_trace_spans_total", &[("result", "dropped")]);
        (dropped > 0.0).then_some(())
    });
    assert_eq!(client.get("a", "/").status(), 200);
}

#[test]
fn fields_of_an_export_come_from_the_configuration_and_a_file_that_may_change() {
    let pod = Upstream::saying("pod");
    let collector = Arc::new(Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            let is_known = request.field("authorization") == Some("Bearer right");
            conn.send(status(if is_known { "200 OK" } else { "401 Unauthorized" }));
        }
    }));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("headers");
    let edge = traced(edge_to(&[pod.addr()]), &format!("http://{}", collector.addr()))
        .set("tracing", "headers", "[\"X-Scope-OrgID: shop\"]")
        .set("tracing", "headers_file", &format!("{file:?}"))
        .start();
    ask(&edge);
    let failing = |why| edge.await_metric("ravelin_trace_export_failing", &[("reason", why)], 1.0);
    failing("file");
    fs::write(&file, "# of the tenant\nAuthorization: Bearer wrong\n").expect("a folder of ours");
    failing("status");
    await_spans(&edge, "rejected", 2.0);
    fs::write(&file, "Authorization: Bearer right\n").expect("a folder of ours");
    ask(&edge);
    await_spans(&edge, "exported", 2.0);
    let last = collector.requests().pop().expect("the last");
    assert_eq!(last.field("x-scope-orgid"), Some("shop"));
}
