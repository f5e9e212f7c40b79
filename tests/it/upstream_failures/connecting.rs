//! Connections that cannot be made.

use crate::support::{Edge, Refusing, Upstream, edge_to};

#[test]
fn a_dead_endpoint_beside_a_living_one_fails_no_request() {
    let (dead, living) = (Refusing::new(), Upstream::saying("alive"));
    let edge = Edge::to(&[dead.addr(), living.addr()]);
    let mut client = edge.connect();
    for n in 0..50 {
        // Those with a body as well: nothing of it was sent.
        if n % 2 == 0 {
            assert_eq!(client.get("a", "/").text(), "alive");
        } else {
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
            assert_eq!(client.response().text(), "alive");
        }
    }
    let requests = living.requests();
    assert_eq!(requests.len(), 50);
    assert!(requests.iter().skip(1).step_by(2).all(|request| request.text() == "body"));
    let metrics = edge.metrics();
    let failed = metrics.sum("ravelin_upstream_connects_total", &[("result", "failed")]);
    assert!(failed > 0.5, "the dead one was tried");
    assert!(metrics.sum("ravelin_upstream_retries_total", &[]) >= failed - 0.5);
}

#[test]
fn endpoints_that_are_all_dead_are_a_502_after_each_was_tried_once() {
    let dead = [Refusing::new(), Refusing::new()];
    let edge = Edge::to(&[dead[0].addr(), dead[1].addr()]);
    let response = edge.get("a", "/");
    assert_eq!(response.status(), 502);
    assert!(response.text().contains("connect_failed"), "{}", response.text());
    let line = edge.ended("connect_failed");
    assert_eq!(line["retries"], 1, "{line}");
    edge.await_metric("ravelin_upstream_connects_total", &[("result", "failed")], 2.0);
}

#[test]
fn no_more_endpoints_are_tried_than_the_setting_says() {
    let dead: Vec<_> = (0..5).map(|_| Refusing::new()).collect();
    let addrs: Vec<_> = dead.iter().map(Refusing::addr).collect();
    let edge = edge_to(&addrs).set("upstream", "connect_retries", "1").start();
    assert_eq!(edge.get("a", "/").status(), 502);
    edge.await_metric("ravelin_upstream_connects_total", &[("result", "failed")], 2.0);
    assert_eq!(edge.ended("connect_failed")["retries"], 1);
}
