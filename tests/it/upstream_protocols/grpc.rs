//! What gRPC needs of a proxy: trailers, streams both ways, and that a call can be cancelled.

use super::peer::{Peer, h2c_edge};
use super::told;
use crate::support::{edge, eventually};
use serde_json::json;

/// A message of gRPC: not compressed, and its length.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

const CALL: &str = "POST /echo HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/grpc\r\n\
                    TE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_call_passes_with_its_messages_and_the_trailers_of_both_sides() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let mut client = edge.connect();
    client.send(CALL);
    let message = frame(b"hello");
    client.send([format!("{:x}\r\n", message.len()).as_bytes(), &message, b"\r\n"].concat());
    client.send("0\r\nx-sum: 7\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status(), response.body), (200, message));
    let trailers: Vec<_> = response.trailers.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(trailers, [("grpc-status", "0"), ("x-seen", "x-sum=7")]);
    edge.await_metric("ravelin_upstream_connects_total", &[("result", "ok")], 1.0);
}

#[test]
fn messages_pass_both_ways_while_both_sides_are_still_sending() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let mut client = edge.connect();
    client.send(CALL);
    client.send("3\r\none\r\n");
    let mut response = client.head();
    for (sent, next) in [("one", "5\r\nthree\r\n"), ("three", "3\r\ntwo\r\n"), ("two", "0\r\n\r\n")]
    {
        assert_eq!(client.wire.chunk().as_deref(), Ok(sent.as_bytes()));
        client.send(next);
    }
    assert_eq!(client.wire.body(&mut response), Ok(()));
    assert!(response.body.is_empty());
}

#[test]
fn an_answer_of_trailers_alone_keeps_its_status() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let response = edge.get("a.example", "/trailers-only");
    assert_eq!((response.status(), response.field("grpc-status")), (200, Some("12")));
    assert!(response.body.is_empty());
}

#[test]
fn te_trailers_reaches_the_pod_if_the_client_said_so_and_fields_of_the_connection_do_not() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let mut client = edge.connect();
    client.send(
        "GET /info HTTP/1.1\r\nHost: a.example:81\r\nTE: trailers, deflate\r\n\
         Connection: TE, x-mine\r\nX-Mine: 1\r\n\r\n",
    );
    let info = told(&client.response());
    assert_eq!(info["te"], "trailers");
    assert_eq!((&info["authority"], &info["scheme"]), (&json!("a.example:81"), &json!("http")));
    let names = info["names"].as_array().expect("names");
    for gone in ["host", "connection", "x-mine", "transfer-encoding", "keep-alive"] {
        assert!(!names.contains(&json!(gone)), "{gone}: {names:?}");
    }
    assert_eq!(told(&client.get("a.example", "/info"))["te"], json!(null));
}

#[test]
fn a_call_that_the_client_gives_up_is_cancelled_at_the_pod_and_its_connection_stays() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    for target in ["/never", "/begin"] {
        let mut client = edge.connect();
        client.ask("GET", "a.example", target);
        if target == "/begin" {
            client.head();
        }
        let seen = |count: u64| {
            eventually("the request is there", || {
                let info = told(&edge.get("a.example", "/info"));
                (info["requests"].as_u64() >= Some(count)).then_some(info)
            })
        };
        let before = seen(1);
        drop(client);
        eventually("the stream is cancelled", || {
            let info = told(&edge.get("a.example", "/info"));
            (info["aborted"].as_u64() > before["aborted"].as_u64()).then_some(())
        });
    }
    assert_eq!(told(&edge.get("a.example", "/info"))["sessions"], 1);
}

#[test]
fn the_health_service_of_a_pod_is_asked_and_decides_whether_it_gets_calls() {
    let Some(peer) = Peer::h2c() else { return };
    let object = |kind: &str, spec: serde_json::Value| {
        json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind,
            "metadata": {"namespace": "ns", "name": "app"}, "spec": spec})
    };
    let main = json!({"name": "web", "port": 80, "scheme": "h2c",
        "healthCheck": {"mode": "grpc", "interval": "1s"}});
    let failover = json!({"failover": {"service": main, "fallback": {"name": "none", "port": 80}, "errors": {}}});
    let route = json!({"routes": [{"match": "Host(`a.example`)",
        "services": [{"name": "app", "kind": "TraefikService"}]}]});
    let edge = edge()
        .set("source", "ingress_classes", "[\"traefik\"]")
        .service("web", &[peer.addr()])
        .service("none", &[])
        .object("failover.json", &object("TraefikService", failover))
        .object("app.json", &object("IngressRoute", route))
        .start();
    eventually("a check passes", || {
        let passed = edge.metrics().sum("ravelin_health_checks_total", &[("result", "passed")]);
        (passed >= 1.0).then_some(())
    });
    assert_eq!(edge.get("a.example", "/ill").status(), 200);
    eventually("the fallback, which has no pod", || {
        (edge.get("a.example", "/info").status() == 503).then_some(())
    });
}
