//! To which pod a connection goes, and what the pod is told of its client.

use super::{Pod, TABLES, ask, connect, edge_tcp, read, route_tcp, to};
use crate::support::{Refusing, edge, eventually};
use ravelin::transport::proxy_protocol::{Header, Parsed, parse};
use serde_json::{Value, json};
use std::net::SocketAddr;

#[test]
fn a_pod_that_refuses_is_passed_over_before_the_first_byte() {
    let (refusing, pod) = (Refusing::new(), Pod::greeting("pod"));
    let edge = edge_tcp(&[refusing.addr(), pod.addr()]).start();
    // It fails until it is left out for a while.
    eventually("it is left out", || {
        assert_eq!(ask(&edge, "all of it"), "pod\nall of it");
        (edge.metrics().sum("ravelin_upstream_ejections_total", &[]) > 0.5).then_some(())
    });
    // The line comes behind the end of its connection.
    eventually("a line with a retry", || {
        edge.await_log(1).iter().any(|line| line["retries"] == 1).then_some(())
    });
    // With no other there is no connection.
    let edge = edge_tcp(&[refusing.addr()]).start();
    assert_eq!(ask(&edge, ""), "");
    edge.await_metric("ravelin_tcp_connections_total", &[("end", "connect_failed")], 1.0);
}

#[test]
fn connections_go_to_the_pod_with_fewer() {
    let pods = [Pod::greeting("a"), Pod::greeting("b")];
    let edge = edge_tcp(&[pods[0].addr(), pods[1].addr()]).start();
    let mut held: Vec<_> = (0..10).map(|_| connect(&edge)).collect();
    let names: Vec<String> = held.iter_mut().map(|socket| read(socket, 2)).collect();
    let of_a = names.iter().filter(|name| *name == "a\n").count();
    assert_eq!(of_a, 5, "{names:?}");
}

#[test]
fn services_have_their_share_and_one_without_a_pod_leaves_it_to_the_others() {
    let (heavy, light) = (Pod::greeting("heavy"), Pod::greeting("light"));
    let service = |name: &str, weight: u32| json!({"name": name, "port": "http", "weight": weight});
    let routes = json!([{"match": "HostSNI(`*`)", "services": [
        service("heavy", 3), service("light", 1), service("none", 0), service("empty", 100),
    ]}]);
    let edge = edge()
        .tables(TABLES)
        .service("heavy", &[heavy.addr()])
        .service("light", &[light.addr()])
        .service("none", &[light.addr()])
        .service("empty", &[])
        .object("route.json", &route_tcp("route", &routes))
        .start();
    let count = (0..200).filter(|_| ask(&edge, "").starts_with("heavy")).count();
    // Of 200 with 3 in 4 the sixth standard deviation is 37.
    assert!((113..=187).contains(&count), "{count} of 200");
    let by = |service: &str| {
        let labels = [("service", service), ("end", "complete")];
        edge.metrics().sum("ravelin_tcp_connections_total", &labels)
    };
    eventually("all are counted", || {
        (by("ns/heavy:http") + by("ns/light:http") > 199.5).then_some(())
    });
    assert!(by("ns/none:http") < 0.5);
}

/// The PROXY header that the pod got in front of a text.
fn header_of(more: &Value) -> (Header, SocketAddr) {
    let pod = Pod::greeting("");
    let edge = edge()
        .tables(TABLES)
        .service("db", &[pod.addr()])
        .object("route.json", &route_tcp("route", &to("db", more)))
        .object(
            "transport.json",
            &json!({
                "apiVersion": "traefik.io/v1alpha1",
                "kind": "ServersTransportTCP",
                "metadata": {"namespace": "ns", "name": "t"},
                "spec": {"proxyProtocol": {"version": 1}, "dialTimeout": "5s"},
            }),
        )
        .start();
    ask(&edge, "text");
    let heard = eventually("the pod has heard", || pod.heard().pop());
    let Ok(Parsed::Complete { header, length }) = parse(&heard) else {
        panic!("{:?}", String::from_utf8_lossy(&heard));
    };
    assert_eq!(&heard[length..], b"text");
    (header, edge.listener(1))
}

#[test]
fn a_pod_is_told_of_its_client_by_the_proxy_protocol() {
    for more in [
        json!({"proxyProtocol": {}}),
        json!({"proxyProtocol": {"version": 1}}),
        json!({"proxyProtocol": {"version": 2}}),
        json!({"serversTransport": "t"}),
    ] {
        let (header, listener) = header_of(&more);
        let Header::Proxied { source, destination } = header else { panic!("{header:?}") };
        assert!(source.ip().is_loopback() && source.port() > 0, "{source}");
        assert_eq!(destination, listener, "{more}");
    }
}

#[test]
fn the_client_of_a_balancer_is_the_client_of_pods_and_lists() {
    let pod = Pod::greeting("");
    let tables = TABLES.replace(
        "admit = [\"loopback\"]",
        "admit = [\"office\"]\nproxy_protocol_from = [\"127.0.0.0/8\"]",
    );
    let mut routes = to("db", &json!({"proxyProtocol": {"version": 1}}));
    routes[0]["match"] = json!("HostSNI(`*`) && ClientIP(`192.0.2.7`)");
    let edge = edge()
        .tables(&format!("{tables}[admit]\noffice = [\"192.0.2.0/24\"]\n"))
        .service("db", &[pod.addr()])
        .object("route.json", &route_tcp("route", &routes))
        .start();
    ask(&edge, "PROXY TCP4 192.0.2.7 198.51.100.80 40000 3306\r\nx");
    let heard = eventually("the pod has heard", || pod.heard().pop());
    assert_eq!(heard, b"PROXY TCP4 192.0.2.7 198.51.100.80 40000 3306\r\nx");
    let line = edge.await_log(1).remove(0);
    assert_eq!(line["client"], "192.0.2.7", "{line}");
}
