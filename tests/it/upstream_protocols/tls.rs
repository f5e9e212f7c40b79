//! TLS towards the pods: whom the proxy believes.

use super::certificates::{Authority, Pair};
use super::peer::{Peer, annotated, edge_as};
use super::told;
use crate::support::{Builder, Edge, Upstream};
use serde_json::{Value, json};

/// The name of the Service `web` in the cluster.
const NAME: &str = "web.ns.svc";

fn secret(authority: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "ns", "name": "ca"},
        "stringData": {"ca.crt": authority},
    })
}

/// `https`, with the authorities of the Secret `ca`.
fn verified() -> Value {
    json!({"ravelin.dev/upstream-protocol": "https", "ravelin.dev/upstream-ca": "ca"})
}

fn with_authority(peer: &Peer, annotations: &Value, authority: &Authority) -> Builder {
    edge_as(annotations, peer.addr()).object("ca.json", &secret(&authority.certificate))
}

fn peer(pair: &Pair) -> Option<Peer> {
    Peer::tls(pair, "h2")
}

#[test]
fn a_pod_with_the_right_certificate_is_spoken_to_in_http_2_if_it_has_that() {
    let authority = Authority::new();
    let Some(peer) = peer(&authority.sign(NAME)) else { return };
    let edge = with_authority(&peer, &verified(), &authority).start();
    let info = told(&edge.get("a.example", "/info"));
    assert_eq!((&info["session"], &info["scheme"]), (&json!(1), &json!("https")));
    assert_eq!(told(&edge.get("a.example", "/info"))["session"], 1);
}

#[test]
fn a_pod_without_http_2_is_spoken_to_in_http_1_1_unless_grpc_was_asked_for() {
    let authority = Authority::new();
    let Some(peer) = Peer::tls(&authority.sign(NAME), "http/1.1") else { return };
    let edge = with_authority(&peer, &verified(), &authority).start();
    for _ in 0..2 {
        let mut client = edge.connect();
        client.send("GET /info HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
        let info = told(&client.response());
        assert_eq!((&info["version"], &info["te"]), (&json!("1.1"), &json!(null)));
    }
    edge.await_metric("ravelin_upstream_connects_total", &[("result", "ok")], 1.0);
    let mut grpc = verified();
    grpc["ravelin.dev/upstream-protocol"] = json!("grpcs");
    let edge = with_authority(&peer, &grpc, &authority).start();
    assert_eq!(edge.get("a.example", "/info").status(), 502);
    edge.ended("upstream_tls_failed");
}

/// Checks that every request to `edge` is answered with 502 for this reason.
fn refuses(edge: &Edge, reason: &str) {
    assert_eq!(edge.get("a.example", "/info").status(), 502);
    edge.ended(reason);
    edge.await_metric("ravelin_upstream_tls_failures_total", &[], 1.0);
}

#[test]
fn another_authority_another_name_and_an_expired_certificate_are_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    for pair in [other.sign(NAME), authority.sign("other.ns.svc"), authority.sign_until(NAME, 2020)]
    {
        let Some(peer) = peer(&pair) else { return };
        refuses(&with_authority(&peer, &verified(), &authority).start(), "upstream_untrusted");
    }
}

#[test]
fn without_an_authority_the_public_ones_count_and_no_check_at_all_has_to_be_asked_for() {
    let authority = Authority::new();
    let Some(peer) = peer(&authority.sign("other.ns.svc")) else { return };
    let https = json!({"ravelin.dev/upstream-protocol": "https"});
    refuses(&edge_as(&https, peer.addr()).start(), "upstream_untrusted");
    let insecure = json!({
        "ravelin.dev/upstream-protocol": "https",
        "ravelin.dev/upstream-tls-insecure": "true",
    });
    told(&edge_as(&insecure, peer.addr()).start().get("a.example", "/info"));
}

#[test]
fn the_name_to_verify_can_be_another_one() {
    let authority = Authority::new();
    let Some(peer) = peer(&authority.sign("pod.internal")) else { return };
    let mut named = verified();
    named["ravelin.dev/upstream-server-name"] = json!("pod.internal");
    told(&with_authority(&peer, &named, &authority).start().get("a.example", "/info"));
}

#[test]
fn a_pod_without_tls_fails_the_handshake() {
    let upstream = Upstream::scripted(|conn| {
        conn.wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("the proxy reads");
    });
    let insecure = json!({
        "ravelin.dev/upstream-protocol": "https",
        "ravelin.dev/upstream-tls-insecure": "true",
    });
    refuses(&edge_as(&insecure, upstream.addr()).start(), "upstream_tls_failed");
}

#[test]
fn a_handshake_that_nobody_answers_ends_with_the_deadline_of_the_connection() {
    let upstream = Upstream::scripted(|conn| {
        conn.closes();
    });
    let insecure = json!({
        "ravelin.dev/upstream-protocol": "https",
        "ravelin.dev/upstream-tls-insecure": "true",
    });
    let edge = edge_as(&insecure, upstream.addr()).timeout("connect", "200ms").start();
    assert_eq!(edge.get("a.example", "/").status(), 504);
    edge.ended("connect_timeout");
}

#[test]
fn authorities_that_are_missing_answer_503_and_those_that_break_leave_the_last_good() {
    let authority = Authority::new();
    let Some(peer) = peer(&authority.sign(NAME)) else { return };
    let edge = edge_as(&verified(), peer.addr()).start();
    assert_eq!(edge.get("a.example", "/info").status(), 503);
    edge.ended("protocol_unusable");
    edge.put("ca.json", &secret(&authority.certificate).to_string());
    told(&edge.get("a.example", "/info"));
    edge.put("ca.json", &secret("broken").to_string());
    told(&edge.get("a.example", "/info"));
    edge.remove("ca.json");
    assert_eq!(told(&edge.get("a.example", "/info"))["sessions"], 1);
    // A Secret of another name is another matter.
    let mut other = verified();
    other["ravelin.dev/upstream-ca"] = json!("elsewhere");
    edge.put("web.json", &annotated(&other).to_string());
    assert_eq!(edge.get("a.example", "/info").status(), 503);
}

#[test]
fn a_session_is_resumed_by_the_next_connection() {
    let authority = Authority::new();
    let Some(peer) = peer(&authority.sign(NAME)) else { return };
    let edge = with_authority(&peer, &verified(), &authority).start();
    told(&edge.get("a.example", "/info"));
    let info = told(&edge.get("a.example", "/die-once"));
    assert_eq!((&info["sessions"], &info["resumed"]), (&json!(2), &json!(1)));
}
