//! One connection for many requests: how many it takes, and how it ends.

use super::peer::{Peer, annotated, edge_as, h2c_edge};
use super::told;
use crate::support::{Client, Edge, Message, Upstream, eventually, ingress, rule};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::thread;

/// The same request on so many connections of clients at once.
fn at_once(edge: &Edge, count: usize, target: &str) -> Vec<Message> {
    let mut clients: Vec<Client> = (0..count).map(|_| edge.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("GET", "a.example", target));
    let reading = clients
        .into_iter()
        .map(|mut client| thread::spawn(move || client.response()))
        .collect::<Vec<_>>();
    reading.into_iter().map(|thread| thread.join().expect("a response")).collect()
}

fn sessions(answers: &[Message]) -> BTreeSet<u64> {
    let number = |answer| told(answer)["session"].as_u64().expect("a number");
    answers.iter().map(number).collect()
}

#[test]
fn a_hundred_requests_at_once_share_one_connection() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let answers = at_once(&edge, 100, "/hold?100");
    assert_eq!(sessions(&answers), [1].into());
    edge.await_metric("ravelin_upstream_connects_total", &[("result", "ok")], 1.0);
    edge.await_metric("ravelin_upstream_reuses_total", &[], 99.0);
    edge.await_metric("ravelin_upstream_idle_connections", &[], 1.0);
}

#[test]
fn a_connection_that_is_full_gets_a_second_beside_it() {
    let Some(peer) = Peer::h2c_with_streams(4) else { return };
    let edge = h2c_edge(peer.addr()).start();
    // By its answer the limit is known.
    told(&edge.get("a.example", "/info"));
    let answers = at_once(&edge, 8, "/hold?8");
    assert_eq!(sessions(&answers), [1, 2].into());
}

#[test]
fn requests_past_what_all_connections_take_wait_and_are_served() {
    let Some(peer) = Peer::h2c_with_streams(1) else { return };
    let edge = h2c_edge(peer.addr()).start();
    told(&edge.get("a.example", "/info"));
    let answers = at_once(&edge, 40, "/info");
    assert_eq!(answers.len(), 40);
    assert!(sessions(&answers).len() <= 8, "{:?}", sessions(&answers));
}

#[test]
fn a_connection_that_goes_away_ends_what_it_has_and_gets_nothing_new() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let mut leaving = edge.connect();
    leaving.ask("GET", "a.example", "/leave");
    let mut response = leaving.head();
    assert_eq!(leaving.wire.chunk().as_deref(), Ok(&b"begun "[..]));
    // The GOAWAY is on its way; a request that came before it would go on the same connection.
    eventually("the connection is not used any more", || {
        (told(&edge.get("a.example", "/info"))["session"] == 2).then_some(())
    });
    assert_eq!(told(&edge.get("a.example", "/finish"))["session"], 2);
    assert_eq!(leaving.wire.body(&mut response), Ok(()));
    assert_eq!(response.text(), "and ended");
}

#[test]
fn a_connection_that_is_lost_is_replaced_and_a_request_that_may_be_repeated_is() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    told(&edge.get("a.example", "/info"));
    let info = told(&edge.get("a.example", "/die-once"));
    assert_eq!(info["session"], 2);
    edge.await_metric("ravelin_upstream_retries_total", &[], 1.0);
}

#[test]
fn a_request_that_is_not_safe_to_repeat_is_not_when_its_connection_is_lost() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    told(&edge.get("a.example", "/info"));
    let mut client = edge.connect();
    client.ask("POST", "a.example", "/die-once");
    assert_eq!(client.response().status(), 502);
    edge.await_metric("ravelin_requests_total", &[("reason", "upstream_in_doubt")], 1.0);
}

#[test]
fn what_the_pod_refuses_unseen_is_sent_again_whatever_its_method() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    told(&edge.get("a.example", "/info"));
    let mut client = edge.connect();
    client.ask("POST", "a.example", "/refuse-once");
    assert_eq!(told(&client.response())["requests"], 3);
}

#[test]
fn a_response_that_the_route_gives_up_costs_its_stream_and_not_the_connection() {
    let Some(peer) = Peer::h2c() else { return };
    let middleware = json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": "again"},
        "spec": {"retry": {"attempts": 2, "status": ["503"]}},
    });
    let mut asking = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    asking["metadata"]["annotations"] = json!({"ravelin.dev/middlewares": "again"});
    let edge = h2c_edge(peer.addr())
        .object("again.json", &middleware)
        .object("web-ingress.json", &asking)
        .start();
    let answer = edge.get("a.example", "/busy-once");
    assert_eq!(
        (told(&answer)["requests"].as_u64(), told(&answer)["session"].as_u64()),
        (Some(2), Some(1))
    );
}

#[test]
fn a_pod_that_speaks_http_1_1_alone_is_no_endpoint_for_http_2() {
    let upstream = Upstream::scripted(|conn| {
        conn.wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("the proxy reads");
    });
    let edge = h2c_edge(upstream.addr()).start();
    let response = edge.get("a.example", "/");
    assert_eq!(response.status(), 502);
    let line = edge.await_log(1).remove(0);
    assert!(matches!(line["reason"].as_str(), Some("upstream_malformed" | "upstream_closed")));
}

#[test]
fn nobody_listening_fails_all_who_wait_for_one_connection_at_once() {
    let refusing = crate::support::Refusing::new();
    let edge = h2c_edge(refusing.addr()).start();
    for answer in at_once(&edge, 20, "/") {
        assert_eq!(answer.status(), 502);
    }
}

#[test]
fn another_protocol_of_a_service_takes_effect_at_once_and_shares_no_connection() {
    let Some(peer) = Peer::h2c() else { return };
    let http1 = json!({"ravelin.dev/upstream-protocol": "http"});
    let edge = edge_as(&http1, peer.addr()).start();
    assert_eq!(edge.get("a.example", "/info").status(), 502);
    let put = |annotations: &Value| edge.put("web.json", &annotated(annotations).to_string());
    put(&json!({"traefik.ingress.kubernetes.io/service.serversscheme": "h2c"}));
    assert_eq!(told(&edge.get("a.example", "/info"))["scheme"], "http");
    put(&http1);
    assert_eq!(edge.get("a.example", "/info").status(), 502);
    put(&json!({"ravelin.dev/upstream-protocol": "h2"}));
    assert_eq!(edge.get("a.example", "/info").status(), 503);
    edge.await_metric("ravelin_requests_total", &[("reason", "protocol_unusable")], 1.0);
}

#[test]
fn health_checks_speak_the_protocol_of_the_service() {
    let Some(peer) = Peer::h2c() else { return };
    let annotations = json!({
        "ravelin.dev/upstream-protocol": "h2c",
        "ravelin.dev/health-check-path": "/info",
        "ravelin.dev/health-check-interval": "1s",
    });
    let edge = edge_as(&annotations, peer.addr()).start();
    eventually("checks that are passed", || {
        let passed = edge.metrics().sum("ravelin_health_checks_total", &[("result", "passed")]);
        (passed > 1.5).then_some(())
    });
    edge.await_metric("ravelin_health_checks_total", &[("result", "failed")], 0.0);
}
