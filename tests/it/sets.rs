//! Sets that change while the process runs: an own list in place of Cloudflare's, and what the
//! cluster tells of itself. A balancer on loopback names the sources.

use crate::support::{Client, Edge, Upstream, edge_to, eventually};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;

/// Whether a connection that a balancer brings from `source` is served.
fn serves(edge: &Edge, source: &str) -> bool {
    let mut stream = TcpStream::connect(edge.addr()).expect("a balancer may connect");
    let head = format!("PROXY TCP4 {source} 127.0.0.1 4711 80\r\n");
    let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{head}{request}").as_bytes()).expect("the kernel takes it");
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => answer.starts_with(b"HTTP/1.1 200 "),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            false
        }
    }
}

fn await_served(edge: &Edge, source: &str, expected: bool) {
    let what = format!("{source} is served: {expected}");
    eventually(&what, || (serves(edge, source) == expected).then_some(()));
}

/// Puts a file in place in one step.
fn write(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).expect("a writable folder");
    std::fs::rename(&draft, path).expect("the same folder");
}

const BALANCER: &str = r#"["127.0.0.0/8"]"#;

#[test]
fn a_file_takes_the_place_of_the_list_and_is_followed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = folder.path().join("list.txt");
    write(&list, "# ours\n104.16.0.0/13\n2606:4700::/32\n");
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .admit(&["cloudflare"])
        .listener("proxy_protocol_from", BALANCER)
        .set("cloudflare", "file", &format!("{list:?}"))
        .start();
    assert!(serves(&edge, "104.16.0.1"));
    assert!(!serves(&edge, "198.41.128.1"), "the built-in list is not in force");
    let mut open = edge.connect();
    open.send("PROXY TCP4 104.16.0.2 127.0.0.1 4711 80\r\n");
    assert_eq!(open.get("h", "/").status(), 200);

    write(&list, "198.41.128.0/17\n104.16.0.0/13\n2606:4700::/32\n");
    await_served(&edge, "198.41.128.1", true);
    write(&list, "104.16.0.0/13\n10.0.0.0/16\n");
    edge.await_metric("ravelin_cloudflare_list_failing", &[("reason", "reserved")], 1.0);
    assert!(serves(&edge, "198.41.128.1"), "a bad list changes nothing");
    write(&list, "198.41.128.0/17\n2606:4700::/32\n");
    await_served(&edge, "104.16.0.1", false);
    edge.await_metric("ravelin_cloudflare_list_failing", &[("reason", "reserved")], 0.0);
    // Who has left the list keeps the connection.
    assert_eq!(open.get("h", "/").status(), 200);
    let ranges =
        |family: &str| edge.metrics().sum("ravelin_cloudflare_list_ranges", &[("family", family)]);
    assert_eq!((ranges("ipv4"), ranges("ipv6")), (1.0, 1.0));
    let origin = [("origin", "file")];
    assert_eq!(edge.metrics().sum("ravelin_cloudflare_list_origin", &origin), 1.0);
}

fn config_map(list: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "ns", "name": "ips"},
        "data": {"list": list},
    })
}

#[test]
fn a_config_map_takes_the_place_of_the_list_and_nobody_is_admitted_before_it_is_there() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .admit(&["cloudflare"])
        .listener("proxy_protocol_from", BALANCER)
        .set("cloudflare", "config_map", "\"ns/ips/list\"")
        .start();
    assert!(!serves(&edge, "104.16.0.1"));
    let ready = || Client::connect(edge.admin()).get("admin", "/readyz");
    assert_eq!(ready().status(), 503);
    assert!(ready().text().contains("cloudflare.config_map"), "{}", ready().text());
    edge.put("ips.json", &config_map("104.16.0.0/13, 104.24.0.0/14").to_string());
    await_served(&edge, "104.16.0.1", true);
    eventually("it is ready", || (ready().status() == 200).then_some(()));
    edge.put("ips.json", &config_map("nonsense").to_string());
    edge.await_metric("ravelin_cloudflare_list_failing", &[("reason", "syntax")], 1.0);
    edge.remove("ips.json");
    edge.await_metric("ravelin_cloudflare_list_failing", &[("reason", "missing")], 1.0);
    assert!(serves(&edge, "104.16.0.1"), "the last good list stays");
}

fn node(address: &str, pods: &str) -> String {
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "a"},
        "spec": {"podCIDRs": [pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    });
    node.to_string()
}

#[test]
fn nodes_and_pods_are_those_of_the_cluster() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .admit(&["nodes", "pods"])
        .listener("proxy_protocol_from", BALANCER)
        .start();
    assert!(!serves(&edge, "192.168.7.1") && !serves(&edge, "10.42.0.9"));
    edge.put("node.json", &node("192.168.7.1", "10.42.0.0/24"));
    await_served(&edge, "192.168.7.1", true);
    assert!(serves(&edge, "10.42.0.9") && !serves(&edge, "10.42.1.9"));
    edge.put("node.json", &node("192.168.7.2", "10.42.1.0/24"));
    await_served(&edge, "192.168.7.1", false);
    assert!(serves(&edge, "192.168.7.2") && serves(&edge, "10.42.1.9"));
    assert!(!serves(&edge, "10.42.0.9"));
}

/// The client that the pod is told of, for a request from `source` that names another one.
fn client_told(edge: &Edge, upstream: &Upstream, source: &str) -> Option<String> {
    let mut client = edge.connect();
    client.send(format!("PROXY TCP4 {source} 127.0.0.1 4711 80\r\n"));
    client.send("GET / HTTP/1.1\r\nHost: h\r\nCF-Connecting-IP: 203.0.113.7\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    upstream.requests().last()?.field("x-real-ip").map(str::to_owned)
}

#[test]
fn further_ranges_are_admitted_and_trusted_beside_the_list() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .admit(&["cloudflare"])
        .listener("proxy_protocol_from", BALANCER)
        .set("cloudflare", "extra", r#"["192.0.2.0/24", "100.64.0.0/12"]"#)
        .start();
    for source in ["104.16.0.1", "192.0.2.9", "100.65.1.1"] {
        let told = client_told(&edge, &upstream, source);
        assert_eq!(told.as_deref(), Some("203.0.113.7"), "{source}");
    }
    assert!(!serves(&edge, "192.0.3.1"));
    let metrics = edge.metrics();
    assert_eq!(metrics.sum("ravelin_cloudflare_extra_ranges", &[("family", "ipv4")]), 2.0);
    let origin = [("origin", "configuration")];
    assert_eq!(metrics.sum("ravelin_cloudflare_extra_origin", &origin), 1.0);
    assert_eq!(metrics.sum("ravelin_cloudflare_list_ranges", &[("family", "ipv4")]), 14.0);
}

#[test]
fn further_ranges_of_a_config_map_are_followed_and_a_broken_one_changes_nothing() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .admit(&["cloudflare"])
        .listener("proxy_protocol_from", BALANCER)
        .set("cloudflare", "extra_config_map", "\"ns/ips/list\"")
        .start();
    assert!(serves(&edge, "104.16.0.1"), "the list does not wait for the ranges beside it");
    assert!(!serves(&edge, "192.0.2.9"));
    edge.put("ips.json", &config_map("192.0.2.0/24 # leased").to_string());
    await_served(&edge, "192.0.2.9", true);
    edge.put("ips.json", &config_map("0.0.0.0/0").to_string());
    edge.await_metric("ravelin_cloudflare_extra_failing", &[("reason", "broad")], 1.0);
    assert!(serves(&edge, "192.0.2.9") && !serves(&edge, "8.8.8.8"));
    edge.put("ips.json", &config_map("198.51.100.0/24").to_string());
    await_served(&edge, "192.0.2.9", false);
    assert!(serves(&edge, "198.51.100.1") && serves(&edge, "104.16.0.1"));
}

#[test]
fn further_ranges_of_a_file_that_is_not_there_leave_the_list_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = folder.path().join("extra.txt");
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()])
        .admit(&["cloudflare"])
        .listener("proxy_protocol_from", BALANCER)
        .set("cloudflare", "extra_file", &format!("{list:?}"))
        .start();
    edge.await_metric("ravelin_cloudflare_extra_failing", &[("reason", "missing")], 1.0);
    assert!(serves(&edge, "104.16.0.1") && !serves(&edge, "192.0.2.9"));
    write(&list, "192.0.2.0/24\n");
    await_served(&edge, "192.0.2.9", true);
}
