//! ServersTransports: whom pods have to be, and as whom the proxy shows itself to them.

use super::certificates::{Authority, Pair};
use super::peer::Peer;
use super::told;
use crate::support::{Builder, Edge, Upstream, edge, eventually};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind,
        "metadata": {"namespace": "ns", "name": name}, "spec": spec})
}

/// A proxy that sends everything to a pod with TLS, by this ServersTransport.
fn edge_with(transport: &Value, scheme: &str, pod: SocketAddr) -> Builder {
    let services =
        json!([{"name": "web", "port": 80, "scheme": scheme, "serversTransport": "inner"}]);
    let routes = json!({"routes": [{"match": "PathPrefix(`/`)", "services": services}]});
    edge()
        .set("source", "ingress_classes", "[\"traefik\"]")
        .service("web", &[pod])
        .object("transport.json", &object("ServersTransport", "inner", transport))
        .object("app.json", &object("IngressRoute", "app", &routes))
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "ns", "name": name},
        "stringData": data})
}

fn config_map(name: &str, authority: &Authority) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ns", "name": name},
        "data": {"ca.crt": authority.certificate}})
}

fn own(pair: &Pair) -> Value {
    secret("own", &json!({"tls.crt": pair.certificate, "tls.key": pair.key}))
}

fn client(edge: &Edge) -> Value {
    told(&edge.get("a", "/info"))["client"].clone()
}

#[test]
fn a_pod_that_asks_gets_the_certificate_of_its_secret_and_a_new_one_without_a_restart() {
    for version in ["TLSv1.2", "TLSv1.3"] {
        let (pods, clients) = (Authority::new(), Authority::new());
        let Some(peer) = Peer::asking(&pods.sign("pod.example"), &clients, version) else { return };
        let transport = json!({"serverName": "pod.example", "rootCAs": [{"configMap": "ca"}],
            "certificatesSecrets": ["own"]});
        let edge = edge_with(&transport, "https", peer.addr())
            .object("ca.json", &config_map("ca", &pods))
            .object("own.json", &own(&clients.sign("first.example")))
            .start();
        let info = told(&edge.get("a", "/info"));
        assert_eq!(info["tls"], version);
        assert_eq!(info["client"], "DNS:first.example");
        edge.put("own.json", &own(&clients.sign("second.example")).to_string());
        eventually("the new one", || (client(&edge) == "DNS:second.example").then_some(()));
        edge.remove("own.json");
        let refused = edge.get("a", "/info");
        assert_eq!(refused.status(), 503);
        assert!(refused.text().contains("protocol_unusable"), "{}", refused.text());
    }
}

#[test]
fn without_a_certificate_the_pod_refuses() {
    let (pods, clients) = (Authority::new(), Authority::new());
    let Some(peer) = Peer::asking(&pods.sign("pod.example"), &clients, "TLSv1.3") else { return };
    let transport = json!({"serverName": "pod.example", "rootCAs": [{"configMap": "ca"}]});
    let edge = edge_with(&transport, "https", peer.addr())
        .object("ca.json", &config_map("ca", &pods))
        .start();
    assert_eq!(edge.get("a", "/info").status(), 502);
}

#[test]
fn cas_of_a_config_map_come_and_go_without_a_restart() {
    let (pods, other) = (Authority::new(), Authority::new());
    let Some(peer) = Peer::tls(&pods.sign("pod.example"), "h2") else { return };
    let transport = json!({"serverName": "pod.example", "rootCAs": [{"configMap": "ca"}]});
    let edge = edge_with(&transport, "https", peer.addr()).start();
    assert_eq!(edge.get("a", "/info").status(), 503, "nobody can be believed");
    edge.put("ca.json", &config_map("ca", &other).to_string());
    assert_eq!(edge.get("a", "/info").status(), 502, "another authority");
    edge.put("ca.json", &config_map("ca", &pods).to_string());
    eventually("the authority counts", || (edge.get("a", "/info").status() == 200).then_some(()));
}

#[test]
fn a_name_in_the_certificate_is_asked_for_and_http_2_is_not_offered() {
    let pods = Authority::new();
    let pair = pods.sign_uri("pod.example", "spiffe://mesh/a");
    let Some(peer) = Peer::tls(&pair, "http/1.1") else { return };
    for (uri, insecure, status) in [
        ("spiffe://mesh/a", false, 200),
        ("spiffe://mesh/b", false, 502),
        ("spiffe://mesh/b", true, 502),
    ] {
        let transport = json!({"serverName": "pod.example", "rootCAs": [{"configMap": "ca"}],
            "peerCertURI": uri, "insecureSkipVerify": insecure, "disableHTTP2": true,
            "minVersion": "VersionTLS13"});
        let edge = edge_with(&transport, "https", peer.addr())
            .object("ca.json", &config_map("ca", &pods))
            .start();
        let answer = edge.get("a", "/info");
        assert_eq!(answer.status(), status, "{uri} {insecure}");
        if status == 200 {
            let info = told(&answer);
            assert_eq!((&info["version"], &info["tls"]), (&json!("1.1"), &json!("TLSv1.3")));
        }
    }
}

#[test]
fn a_pod_has_as_long_as_its_transport_says() {
    let pod = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            if request.start.contains("/slow") {
                return conn.closes();
            }
            conn.answer("here");
        }
    });
    let transport = json!({"forwardingTimeouts": {"responseHeaderTimeout": "200ms"}});
    let edge = edge_with(&transport, "http", pod.addr()).start();
    assert_eq!(edge.get("a", "/").text(), "here");
    assert_eq!(edge.get("a", "/slow").status(), 504);
    assert_eq!(edge.await_log(2)[1]["reason"], "upstream_timeout");
}
