//! Which connections a route takes, and what of it can be changed.

use super::{Pod, TABLES, ask, connect, edge_tcp, is_refused, read, read_to_end, route_tcp, to};
use crate::support::{Client, Upstream, edge, edge_to};
use serde_json::json;
use std::io::Write;
use std::net::Shutdown;

#[test]
fn a_pod_speaks_first_and_both_sides_end_for_themselves() {
    let pod = Pod::greeting("SSH-2.0-pod");
    let edge = edge_tcp(&[pod.addr()]).start();
    let mut socket = connect(&edge);
    // Nothing was sent yet.
    assert_eq!(read(&mut socket, 12), "SSH-2.0-pod\n");
    socket.write_all(b"hello").expect("it reads");
    socket.shutdown(Shutdown::Write).expect("open");
    // Its answer comes after our end.
    assert_eq!(read_to_end(&mut socket), "hello");
    let line = edge.await_log(1).remove(0);
    for (field, expected) in [
        ("end", json!("complete")),
        ("protocol", "TCP".into()),
        ("listener", "db".into()),
        ("route", "ns/route".into()),
        ("service", "ns/db:http".into()),
        ("endpoint", pod.addr().to_string().into()),
        ("client", "127.0.0.1".into()),
        ("bytes_in", 5.into()),
        ("bytes_out", 17.into()),
    ] {
        assert_eq!(line[field], expected, "{field}: {line}");
    }
    let route =
        [("listener", "db"), ("host", "*"), ("route", "ns/route"), ("service", "ns/db:http")];
    let with = |more| [&route[..], &[more]].concat();
    edge.await_metric("ravelin_tcp_connections_total", &with(("end", "complete")), 1.0);
    edge.await_metric("ravelin_tcp_bytes_total", &with(("direction", "in")), 5.0);
    edge.await_metric("ravelin_tcp_bytes_total", &with(("direction", "out")), 17.0);
    edge.await_metric("ravelin_tunnels_open", &[("listener", "db")], 0.0);
}

#[test]
fn rules_by_address_come_before_the_catch_all_and_what_has_no_route_is_closed() {
    let (near, far) = (Pod::greeting("near"), Pod::greeting("far"));
    let of = |rule: &str, service: &str| json!({"match": rule, "services": [{"name": service, "port": "http"}]});
    let edge = edge()
        .tables(TABLES)
        .service("near", &[near.addr()])
        .service("far", &[far.addr()])
        .object(
            "route.json",
            &route_tcp(
                "route",
                &json!([
                    of("HostSNI(`*`)", "far"),
                    of("HostSNI(`*`) && ClientIP(`127.0.0.0/8`)", "near"),
                ]),
            ),
        )
        .start();
    assert_eq!(ask(&edge, ""), "near\n");
    let elsewhere = json!([of("HostSNI(`*`) && !ClientIP(`127.0.0.0/8`)", "near")]);
    edge.put("route.json", &route_tcp("route", &elsewhere).to_string());
    assert!(is_refused(connect(&edge)));
    let line = edge.await_log(2).remove(1);
    assert_eq!((&line["end"], &line["route"]), (&"no_route".into(), &json!(null)), "{line}");
    edge.put("route.json", &route_tcp("route", &json!([of("HostSNI(`*`)", "far")])).to_string());
    assert_eq!(ask(&edge, ""), "far\n");
    edge.remove("route.json");
    assert!(is_refused(connect(&edge)));
}

#[test]
fn a_route_takes_the_connections_of_a_listener_with_http_and_gives_them_back() {
    let pod = Pod::greeting("220 mail");
    let web = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.answer("web");
        }
    });
    let mut route = route_tcp("route", &to("mail", &json!({})));
    route["spec"]["entryPoints"] = json!(["web"]);
    let edge =
        edge_to(&[web.addr()]).service("mail", &[pod.addr()]).object("route.json", &route).start();
    let mut socket = std::net::TcpStream::connect(edge.addr()).expect("it listens");
    assert_eq!(read(&mut socket, 9), "220 mail\n");
    drop(socket);
    // Others than those that it is for go on to HTTP.
    route["spec"]["routes"][0]["match"] = json!("HostSNI(`*`) && ClientIP(`192.0.2.0/24`)");
    edge.put("route.json", &route.to_string());
    assert_eq!(Client::connect(edge.addr()).get("a.example", "/").text(), "web");
    edge.remove("route.json");
    assert_eq!(edge.get("a.example", "/").text(), "web");
}

#[test]
fn a_listener_for_connections_speaks_no_http() {
    let edge = edge().tables(TABLES).start();
    let mut socket = connect(&edge);
    // It may be reset, with what we write unread.
    let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(is_refused(socket));
    edge.await_metric("ravelin_tcp_connections_total", &[("end", "no_route")], 1.0);
}
