//! Requests beyond the limit of a Service's endpoints wait, for a time.

use crate::support::{Builder, Client, Edge, Gate, Upstream, edge_to, eventually, service};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

fn limited(annotations: &[(&str, &str)]) -> Value {
    let mut web = service("web", "http", 80);
    for (name, value) in annotations {
        web["metadata"]["annotations"][format!("ravelin.dev/{name}")] = json!(value);
    }
    web
}

fn edge_with(annotations: &[(&str, &str)], endpoints: &[SocketAddr]) -> Builder {
    edge_to(endpoints).object("web.json", &limited(annotations))
}

/// Answers each request with its path when the gate is open.
fn gated(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            gate.wait();
            conn.answer(request.target());
        }
    })
}

fn ask(edge: &Edge, path: &str) -> Client {
    let mut client = edge.connect();
    client.ask("GET", "a", path);
    client
}

fn await_queued(edge: &Edge, count: f64) {
    edge.await_metric("ravelin_upstream_queued", &[], count);
}

#[test]
fn no_pod_ever_has_more_requests_than_its_limit_under_load_of_all_workers() {
    const MOST: usize = 3;
    const CLIENTS: usize = 16;
    const REQUESTS: usize = 100;
    let highest = Arc::new(AtomicUsize::new(0));
    let pod = || {
        let (now, highest) = (AtomicUsize::new(0), Arc::clone(&highest));
        Upstream::scripted(move |conn| {
            while conn.request().is_some() {
                highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Gives the others a moment.
                (0..20).for_each(|_| thread::yield_now());
                now.fetch_sub(1, Ordering::SeqCst);
                conn.answer("done");
            }
        })
    };
    let pods = [pod(), pod()];
    let addrs = [pods[0].addr(), pods[1].addr()];
    let annotations = [("max-connections", "3"), ("queue-timeout", "60s")];
    let edge = edge_with(&annotations, &addrs).start_with(4);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = edge.connect();
                for _ in 0..REQUESTS {
                    assert_eq!(client.get("a", "/").text(), "done");
                }
            });
        }
    });
    assert_eq!(highest.load(Ordering::SeqCst), MOST);
    let all: usize = pods.iter().map(|pod| pod.requests().len()).sum();
    assert_eq!(all, CLIENTS * REQUESTS);
    await_queued(&edge, 0.0);
}

#[test]
fn requests_are_served_in_the_order_in_which_they_came() {
    let gate = Gate::default();
    let pod = gated(&gate);
    let edge = edge_with(&[("max-connections", "1")], &[pod.addr()]).start();
    let mut clients = Vec::new();
    for number in 0..5 {
        clients.push(ask(&edge, &format!("/{number}")));
        pod.await_requests(1);
        await_queued(&edge, f64::from(number));
    }
    gate.open();
    for (number, mut client) in clients.into_iter().enumerate() {
        assert_eq!(client.response().text(), format!("/{number}"));
    }
    let order: Vec<String> = pod.requests().iter().map(|r| r.target().to_owned()).collect();
    assert_eq!(order, ["/0", "/1", "/2", "/3", "/4"]);
}

#[test]
fn a_queue_that_is_full_and_a_wait_that_is_too_long_are_503s() {
    let gate = Gate::default();
    let pod = gated(&gate);
    let annotations = [("max-connections", "1"), ("queue", "1"), ("queue-timeout", "1s")];
    let edge = edge_with(&annotations, &[pod.addr()]).start();
    let mut served = ask(&edge, "/served");
    pod.await_requests(1);
    let mut late = ask(&edge, "/late");
    await_queued(&edge, 1.0);
    let mut refused = ask(&edge, "/refused");
    for (client, reason) in [(&mut refused, "queue_full"), (&mut late, "queue_timeout")] {
        let response = client.response();
        assert_eq!(response.status(), 503);
        assert!(response.text().contains(reason), "{}", response.text());
        edge.await_metric("ravelin_requests_total", &[("reason", reason)], 1.0);
    }
    await_queued(&edge, 0.0);
    gate.open();
    assert_eq!(served.response().text(), "/served");
    // There is room again.
    assert_eq!(edge.get("a", "/next").text(), "/next");
}

#[test]
fn a_client_that_leaves_takes_its_place_with_it() {
    let gate = Gate::default();
    let pod = gated(&gate);
    let annotations = [("max-connections", "1"), ("queue", "1"), ("queue-timeout", "60s")];
    let edge = edge_with(&annotations, &[pod.addr()]).start();
    let mut served = ask(&edge, "/served");
    pod.await_requests(1);
    let gone = ask(&edge, "/gone");
    await_queued(&edge, 1.0);
    drop(gone);
    await_queued(&edge, 0.0);
    let mut next = ask(&edge, "/next");
    await_queued(&edge, 1.0);
    gate.open();
    assert_eq!(served.response().text(), "/served");
    assert_eq!(next.response().text(), "/next");
    assert!(pod.requests().iter().all(|request| request.target() != "/gone"));
}

#[test]
fn who_waits_goes_on_when_the_limit_is_raised_or_a_pod_comes() {
    let gate = Gate::default();
    let pods = [gated(&gate), gated(&gate)];
    let annotations = [("max-connections", "1"), ("queue-timeout", "60s")];
    let edge = edge_with(&annotations, &[pods[0].addr()]).start();
    let mut clients: Vec<_> = (0..4).map(|_| ask(&edge, "/")).collect();
    await_queued(&edge, 3.0);
    let raised = limited(&[("max-connections", "2"), ("queue-timeout", "60s")]);
    edge.put("web.json", &raised.to_string());
    pods[0].await_requests(2);
    await_queued(&edge, 2.0);
    let second = crate::support::slice("web-1", "web", "http", pods[1].addr());
    edge.put("web-1.json", &second.to_string());
    pods[1].await_requests(2);
    await_queued(&edge, 0.0);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "/");
    }
}

#[test]
fn who_waits_when_the_last_pod_goes_is_told_so() {
    let gate = Gate::default();
    let pod = gated(&gate);
    let annotations = [("max-connections", "1"), ("queue-timeout", "60s")];
    let edge = edge_with(&annotations, &[pod.addr()]).start();
    let mut served = ask(&edge, "/served");
    pod.await_requests(1);
    let mut waits = [ask(&edge, "/waits"), ask(&edge, "/waits")];
    await_queued(&edge, 2.0);
    edge.remove("web-0.json");
    for client in &mut waits {
        assert_eq!(client.response().status(), 503);
    }
    eventually("the reason is counted", || {
        let ended = edge.metrics().sum("ravelin_requests_total", &[("reason", "no_endpoint")]);
        (ended > 1.5).then_some(())
    });
    gate.open();
    assert_eq!(served.response().text(), "/served");
}
