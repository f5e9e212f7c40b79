//! How many connections there may be, and who closes when there are too many.

use crate::deadlines::pass;
use crate::support::{Client, Edge, Gate, Metrics, Upstream, edge_to, eventually};
use std::time::Duration;

/// A proxy for so many client connections, on one worker or more.
fn limited(connections: usize, workers: usize, upstream: &Upstream) -> Edge {
    let limit = connections.to_string();
    edge_to(&[upstream.addr()]).set("limits", "connections", &limit).start_with(workers)
}

fn evicted(edge: &Edge, state: &str, count: f64) {
    edge.await_metric("ravelin_connections_evicted_total", &[("state", state)], count);
}

#[test]
fn at_a_limit_of_one_every_client_is_served_in_turn_though_all_stay_connected() {
    let upstream = Upstream::saying("ok");
    let edge = limited(1, 2, &upstream);
    let mut clients: Vec<_> = (0..20).map(|_| edge.connect()).collect();
    // Those behind the first one have connected, and nothing is read of them.
    for client in &mut clients {
        client.ask("GET", "a", "/");
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
    }
    let mut silent = edge.connect();
    assert_eq!(edge.get("a", "/").text(), "ok");
    silent.closes();
    edge.await_metric("ravelin_connections_refused_total", &[], 0.0);
    assert!(edge.metrics().sum("ravelin_connections_at_limit_total", &[]) >= 20.0);
}

#[test]
fn who_has_not_asked_goes_first_then_who_has_been_idle_for_longest() {
    let upstream = Upstream::saying("ok");
    let edge = limited(3, 1, &upstream);
    let [mut old, mut silent, mut late] = [edge.connect(), edge.connect(), edge.connect()];
    for client in [&mut old, &mut late] {
        assert_eq!(client.get("a", "/").text(), "ok");
    }
    // Until the silent one has had its time.
    pass(Duration::from_millis(1_600));
    let mut first = edge.connect();
    assert_eq!(first.get("a", "/").text(), "ok");
    silent.closes();
    evicted(&edge, "first_request", 1.0);
    let mut second = edge.connect();
    assert_eq!(second.get("a", "/").text(), "ok");
    old.closes();
    evicted(&edge, "idle", 1.0);
    for client in [&mut late, &mut first, &mut second] {
        assert_eq!(client.get("a", "/").text(), "ok");
    }
    edge.await_metric("ravelin_connections_evicted_total", &[], 2.0);
}

#[test]
fn a_connection_in_use_is_kept_and_its_answer_is_its_last_one_while_others_wait() {
    let gate = Gate::default();
    let until = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            until.wait();
            conn.answer("ok");
        }
    });
    let edge = limited(1, 1, &upstream);
    let mut busy = edge.connect();
    busy.ask("GET", "a", "/");
    upstream.await_requests(1);
    let mut waiting = edge.connect();
    waiting.ask("GET", "a", "/");
    edge.await_metric("ravelin_connections_at_limit_total", &[], 1.0);
    edge.await_metric("ravelin_connections_open", &[], 1.0);
    gate.open();
    let answer = busy.response();
    assert_eq!((answer.text(), answer.field("connection")), ("ok", Some("close")));
    busy.closes();
    assert_eq!(waiting.response().text(), "ok");
}

#[test]
fn a_first_head_that_does_not_end_is_no_use_and_is_told_to_come_again() {
    let upstream = Upstream::saying("ok");
    let edge = limited(1, 1, &upstream);
    let mut half = edge.connect();
    half.send("GET / HTTP/1.1\r\nHo");
    edge.await_metric("ravelin_connections_open", &[], 1.0);
    let mut next = edge.connect();
    assert_eq!(next.get("a", "/").text(), "ok");
    let answer = half.response();
    assert_eq!((answer.status(), answer.field("connection")), (408, Some("close")));
    evicted(&edge, "first_request", 1.0);
}

#[test]
fn who_rests_makes_room_as_well() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .set("limits", "connections", "1")
        .timeout("downstream_idle", "600s")
        .start();
    let mut resting = edge.connect();
    assert_eq!(resting.get("a", "/").text(), "ok");
    pass(Duration::from_millis(2_600));
    assert_eq!(edge.get("a", "/").text(), "ok");
    resting.closes();
    evicted(&edge, "idle", 1.0);
}

#[test]
fn a_balancer_that_sends_no_header_makes_room() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .set("limits", "connections", "1")
        .listener("proxy_protocol_from", "[\"127.0.0.7/32\"]")
        .start();
    let mut balancer = Client::connect_from([127, 0, 0, 7].into(), edge.addr());
    edge.await_metric("ravelin_connections_open", &[], 1.0);
    assert_eq!(edge.get("a", "/").text(), "ok");
    assert!(balancer.is_closed());
    evicted(&edge, "proxy_header", 1.0);
}

#[test]
fn who_waits_while_all_are_in_use_is_refused_when_the_process_leaves() {
    let gate = Gate::default();
    let until = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        conn.request();
        until.wait();
        conn.answer("ok");
    });
    let builder = edge_to(&[upstream.addr()]).set("limits", "connections", "1");
    let mut process = builder.timeout("drain", "20s").spawn(1);
    let mut busy = process.connect();
    busy.ask("GET", "a", "/");
    upstream.await_requests(1);
    let mut waiting = process.connect();
    waiting.ask("GET", "a", "/");
    let sum = |name: &str, labels: &[(&str, &str)]| {
        eventually(name, || {
            (Metrics::scrape(process.admin()).sum(name, labels) > 0.5).then_some(())
        });
    };
    sum("ravelin_connections_at_limit_total", &[]);
    process.signal("TERM");
    assert!(waiting.is_closed());
    sum("ravelin_connections_refused_total", &[("reason", "connection_limit")]);
    gate.open();
    assert_eq!(busy.response().text(), "ok");
    assert_eq!(process.exit().code(), Some(0));
}
