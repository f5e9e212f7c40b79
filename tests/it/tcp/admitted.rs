//! Who may connect: the gate, MiddlewareTCPs, and routes that are refused with all of their connections.

use super::{Pod, TABLES, ask, connect, edge_tcp, is_refused, read, route_tcp, to};
use crate::support::{Edge, edge};
use serde_json::{Value, json};
use std::io::Write;

fn middleware(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "MiddlewareTCP",
        "metadata": {"namespace": "ns", "name": name},
        "spec": spec,
    })
}

/// A proxy whose route names this MiddlewareTCP.
fn behind(pod: &Pod, spec: &Value) -> Edge {
    let mut routes = to("db", &json!({}));
    routes[0]["middlewares"] = json!([{"name": "m"}]);
    edge_tcp(&[pod.addr()])
        .object("route.json", &route_tcp("route", &routes))
        .object("m.json", &middleware("m", spec))
        .start()
}

fn refused(edge: &Edge, reason: &str, count: f64) {
    let labels = [("route", "ns/route"), ("end", reason)];
    edge.await_metric("ravelin_tcp_connections_total", &labels, count);
}

#[test]
fn an_allow_list_refuses_others_and_fails_closed_when_it_is_gone() {
    let pod = Pod::greeting("pod");
    let edge = behind(&pod, &json!({"ipAllowList": {"sourceRange": ["127.0.0.0/8"]}}));
    assert_eq!(ask(&edge, ""), "pod\n");
    let other = json!({"ipWhiteList": {"sourceRange": ["192.0.2.0/24"]}});
    edge.put("m.json", &middleware("m", &other).to_string());
    assert!(is_refused(connect(&edge)));
    refused(&edge, "source_denied", 1.0);
    edge.remove("m.json");
    assert!(is_refused(connect(&edge)));
    refused(&edge, "middleware_unusable", 1.0);
    assert_eq!(pod.heard().len(), 1, "the pod has seen nobody else");
}

#[test]
fn an_address_has_no_more_connections_at_once_than_it_may() {
    let pod = Pod::greeting("pod");
    let edge = behind(&pod, &json!({"inFlightConn": {"amount": 2}}));
    let mut held = [connect(&edge), connect(&edge)];
    held.iter_mut().for_each(|socket| assert_eq!(read(socket, 4), "pod\n"));
    assert!(is_refused(connect(&edge)));
    refused(&edge, "in_flight_limited", 1.0);
    drop(held);
    edge.await_metric("ravelin_tunnels_open", &[("listener", "db")], 0.0);
    assert_eq!(ask(&edge, ""), "pod\n");
}

#[test]
fn the_gate_stands_before_the_routes_of_its_listener() {
    let pod = Pod::greeting("pod");
    let tables =
        TABLES.replace("admit = [\"loopback\"]", "admit = [\"office\"]\nkernel_filter = false");
    let edge = edge()
        .tables(&format!("{tables}[admit]\noffice = [\"192.0.2.0/24\"]\n"))
        .service("db", &[pod.addr()])
        .object("route.json", &route_tcp("route", &to("db", &json!({}))))
        .start();
    let mut socket = connect(&edge);
    let _ = socket.write_all(b"hello");
    assert!(is_refused(socket));
    let labels = [("listener", "db"), ("reason", "not_admitted")];
    edge.await_metric("ravelin_connections_refused_total", &labels, 1.0);
    assert!(pod.heard().is_empty());
}

#[test]
fn a_route_without_a_usable_service_refuses_with_its_reason() {
    let pod = Pod::greeting("pod");
    for (service, more, reason) in [
        ("gone", json!({}), "service_missing"),
        ("db", json!({"port": 4711}), "port_missing"),
        ("db", json!({"serversTransport": "gone"}), "protocol_unusable"),
        ("db", json!({"proxyProtocol": {"version": 7}}), "annotation_unsupported"),
        ("empty", json!({}), "no_endpoint"),
    ] {
        let edge = edge()
            .tables(TABLES)
            .service("db", &[pod.addr()])
            .service("empty", &[])
            .object("route.json", &route_tcp("route", &to(service, &more)))
            .start();
        assert!(is_refused(connect(&edge)), "{reason}");
        refused(&edge, reason, 1.0);
    }
    assert!(pod.heard().is_empty());
}

#[test]
fn a_service_of_weight_0_takes_nothing_from_one_that_is_missing() {
    let pod = Pod::greeting("pod");
    let services =
        json!([{"name": "db", "port": "http", "weight": 0}, {"name": "gone", "port": 1}]);
    let routes = json!([{"match": "HostSNI(`*`)", "services": services}]);
    let edge = edge()
        .tables(TABLES)
        .service("db", &[pod.addr()])
        .object("route.json", &route_tcp("route", &routes))
        .start();
    assert!(is_refused(connect(&edge)));
    refused(&edge, "service_missing", 1.0);
    assert!(pod.heard().is_empty());
}
