//! The admin port, the metrics, and who may connect at all.

use crate::support::{Client, Edge, Gate, Upstream, edge, edge_to, eventually};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

#[test]
fn metrics_are_valid_and_every_family_is_there() {
    let upstream = Upstream::saying("ok");
    let edge = Edge::to(&[upstream.addr()]);
    assert_eq!(edge.get("a", "/").status(), 200);
    let metrics = edge.metrics();
    for (family, kind) in [
        ("ravelin_accept_errors", "counter"),
        ("ravelin_access_log_dropped_lines", "counter"),
        ("ravelin_access_log_filtered_lines", "counter"),
        ("ravelin_access_log_truncated_lines", "counter"),
        ("ravelin_process_log_dropped_lines", "counter"),
        ("ravelin_process_log_truncated_lines", "counter"),
        ("ravelin_admin_connections_ended", "counter"),
        ("ravelin_admin_connections_open", "gauge"),
        ("ravelin_admin_pages_refused", "counter"),
        ("ravelin_trace_export_failing", "gauge"),
        ("ravelin_trace_exports", "counter"),
        ("ravelin_trace_parents_limited", "counter"),
        ("ravelin_trace_queue_bytes", "gauge"),
        ("ravelin_trace_spans", "counter"),
        ("ravelin_traced_requests", "counter"),
        ("ravelin_body_bytes", "counter"),
        ("ravelin_connections_accepted", "counter"),
        ("ravelin_connections_at_limit", "counter"),
        ("ravelin_connections_evicted", "counter"),
        ("ravelin_connections_idle_closed", "counter"),
        ("ravelin_connections_open", "gauge"),
        ("ravelin_connections_refused", "counter"),
        ("ravelin_endpoints", "gauge"),
        ("ravelin_endpoints_ejected", "gauge"),
        ("ravelin_rejected_objects", "gauge"),
        ("ravelin_request_duration_seconds", "histogram"),
        ("ravelin_requests", "counter"),
        ("ravelin_object_changes", "counter"),
        ("ravelin_snapshot_build_seconds", "gauge"),
        ("ravelin_snapshot_generation", "gauge"),
        ("ravelin_snapshot_hosts", "gauge"),
        ("ravelin_snapshot_published_timestamp_seconds", "gauge"),
        ("ravelin_snapshot_routes", "gauge"),
        ("ravelin_upstream_connects", "counter"),
        ("ravelin_upstream_duration_seconds", "histogram"),
        ("ravelin_upstream_ejections", "counter"),
        ("ravelin_upstream_idle_connections", "gauge"),
        ("ravelin_upstream_retries", "counter"),
        ("ravelin_upstream_retries_refused", "counter"),
        ("ravelin_upstream_reuses", "counter"),
        ("ravelin_upstream_tls_failures", "counter"),
    ] {
        assert_eq!(metrics.families.get(family).map(String::as_str), Some(kind), "{family}");
    }
}

/// Name, labels, and the sum of the samples that have them.
type Sum<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Checks sums of samples.
fn shows(edge: &Edge, expected: &[Sum<'_>]) {
    for (name, labels, value) in expected {
        edge.await_metric(name, labels, *value);
    }
}

#[test]
fn requests_are_counted_by_what_they_were_and_how_they_ended() {
    let upstream = Upstream::saying("12345");
    let edge = edge_to(&[upstream.addr()]).start();
    let mut client = edge.connect();
    for _ in 0..3 {
        client.get("a", "/");
    }
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n1234567");
    client.response();
    client.ask("BREW", "a", "/");
    client.response();
    let web = ("service", "ns/web:http");
    let all = ("listener", "web");
    shows(
        &edge,
        &[
            ("ravelin_requests_total", &[("method", "GET"), ("status", "2xx"), web], 3.0),
            ("ravelin_requests_total", &[("method", "POST"), ("reason", "")], 1.0),
            ("ravelin_requests_total", &[("method", "other")], 1.0),
            ("ravelin_requests_total", &[("listener", "web"), ("route", "ns/all")], 5.0),
            ("ravelin_request_duration_seconds_count", &[all], 5.0),
            ("ravelin_request_duration_seconds_bucket", &[all, ("le", "+Inf")], 5.0),
            ("ravelin_upstream_duration_seconds_count", &[all], 5.0),
            ("ravelin_body_bytes_total", &[("direction", "in"), all], 7.0),
            ("ravelin_body_bytes_total", &[("direction", "out"), all], 25.0),
            ("ravelin_connections_open", &[("listener", "web")], 1.0),
            ("ravelin_connections_accepted_total", &[("listener", "web")], 1.0),
            ("ravelin_upstream_connects_total", &[("result", "ok")], 1.0),
            ("ravelin_upstream_reuses_total", &[], 4.0),
            ("ravelin_upstream_idle_connections", &[], 1.0),
            ("ravelin_snapshot_routes", &[], 1.0),
            ("ravelin_endpoints", &[("service", "web:http"), ("state", "ready")], 1.0),
            ("ravelin_access_log_dropped_lines_total", &[], 0.0),
        ],
    );
    drop(client);
    edge.await_metric("ravelin_connections_open", &[], 0.0);
}

#[test]
fn a_host_that_no_rule_has_is_no_label() {
    let edge = edge().start();
    for host in ["evil.example", "other.example"] {
        assert_eq!(edge.get(host, "/").status(), 404);
    }
    shows(&edge, &[("ravelin_requests_total", &[("host", "_"), ("reason", "no_route")], 2.0)]);
    let page = Client::connect(edge.admin()).get("admin", "/metrics");
    assert!(!page.text().contains("example"), "{}", page.text());
}

#[test]
fn what_workers_count_is_added_up() {
    let upstream = Upstream::saying("ok");
    let edge = edge_to(&[upstream.addr()]).start_with(2);
    // Both are open at once: each worker has one.
    let mut clients = [edge.connect(), edge.connect()];
    for _ in 0..5 {
        for client in &mut clients {
            assert_eq!(client.get("a", "/").text(), "ok");
        }
    }
    shows(
        &edge,
        &[
            ("ravelin_requests_total", &[("status", "2xx")], 10.0),
            ("ravelin_request_duration_seconds_count", &[], 10.0),
            ("ravelin_connections_open", &[], 2.0),
            ("ravelin_upstream_connects_total", &[("result", "ok")], 2.0),
            ("ravelin_upstream_reuses_total", &[], 8.0),
        ],
    );
    assert_eq!(upstream.connections(), 2, "a pool for each worker");
}

#[test]
fn health_and_mistakes_have_their_answers() {
    let edge = edge().start();
    let mut client = Client::connect(edge.admin());
    for (method, path, status) in [
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/", 200),
        ("GET", "/metrics?x=y", 200),
        ("GET", "/nothing", 404),
        ("GET", "/livez/", 404),
        ("POST", "/livez", 405),
        ("DELETE", "/metrics", 405),
    ] {
        client.ask(method, "admin", path);
        assert_eq!(client.response().status(), status, "{method} {path}");
    }
    client.ask("HEAD", "admin", "/livez");
    assert_eq!(client.response_to_head().status(), 200);
    let content_type = client.get("admin", "/metrics");
    let content_type = content_type.field("content-type").expect("a type");
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
}

#[test]
fn a_refusal_of_a_method_says_which_are_allowed() {
    let edge = edge().start();
    let mut client = Client::connect(edge.admin());
    client.ask("POST", "admin", "/livez");
    // RFC 9110 section 15.5.6.
    assert_eq!(client.response().field("allow"), Some("GET, HEAD"));
}

#[test]
fn a_process_that_leaves_is_alive_and_not_ready() {
    let gate = Gate::default();
    let until = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        if conn.request().is_some() {
            until.wait();
            conn.answer("done");
        }
    });
    let (builder, socket) = edge_to(&[upstream.addr()]).timeout("drain", "20s").probed();
    let mut process = builder.spawn(1);
    let mut client = process.connect();
    client.ask("GET", "a", "/");
    upstream.await_requests(1);
    process.signal("TERM");
    process.await_message("shutting down");
    let ask = |target| Client::connect(process.admin()).get("admin", target).status();
    eventually("not ready", || (ask("/readyz") == 503).then_some(()));
    assert_eq!(ask("/livez"), 200);
    assert_eq!(over(&socket, "/readyz"), (503, "leaving\n".to_owned()));
    assert_eq!(over(&socket, "/livez"), (200, "ok\n".to_owned()));
    gate.open();
    assert_eq!(client.response().text(), "done");
    assert_eq!(process.exit().code(), Some(0));
    assert!(!socket.exists(), "it is removed at the end");
}

#[test]
fn who_is_in_no_admitted_set_is_reset_and_counted() {
    let upstream = Upstream::saying("ok");
    // The kernel would not even answer.
    let builder = edge_to(&[upstream.addr()]).listener("kernel_filter", "false");
    let edge = builder.admit_only("office", "192.0.2.0/24").start();
    for _ in 0..3 {
        // The reset may come as early as the end of the handshake.
        let read = TcpStream::connect(edge.addr()).and_then(|mut stream| stream.read(&mut [0]));
        assert_eq!(read.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    }
    shows(
        &edge,
        &[
            (
                "ravelin_connections_refused_total",
                &[("listener", "web"), ("reason", "not_admitted")],
                3.0,
            ),
            ("ravelin_admission_mode", &[("listener", "web"), ("mode", "user_space")], 1.0),
            ("ravelin_connections_accepted_total", &[], 0.0),
            ("ravelin_requests_total", &[], 0.0),
        ],
    );
}

/// Status and body of a GET over a socket in the file system.
fn over(socket: &Path, target: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    // Of HTTP/1.0, so that the page has no chunks.
    let request = format!("GET {target} HTTP/1.0\r\nHost: admin\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

#[test]
fn the_socket_serves_what_the_port_serves() {
    let (builder, socket) = edge().probed();
    let edge = builder.start();
    let (status, page) = over(&socket, "/metrics");
    assert!(status == 200 && page.ends_with("# EOF\n"), "{status}: {page}");
    assert_eq!(over(&socket, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(over(&socket, "/nothing").0, 404);
    drop(edge);
    assert!(!socket.exists());
}

#[test]
fn scrapers_and_probes_are_answered_whoever_holds_connections_and_says_nothing() {
    let (builder, socket) = edge().probed();
    let edge = builder.start();
    // More than there are places, of either, and some with half a request.
    let ports: Vec<_> = (0..80)
        .map(|n| {
            let mut stream = TcpStream::connect(edge.admin()).expect("it listens");
            let begun = if n % 2 == 0 { "" } else { "GET /metr" };
            stream.write_all(begun.as_bytes()).expect("it reads");
            stream
        })
        .collect();
    let probes: Vec<_> =
        (0..20).map(|_| UnixStream::connect(&socket).expect("it listens")).collect();
    assert_eq!(Client::connect(edge.admin()).get("admin", "/metrics").status(), 200);
    assert_eq!(over(&socket, "/livez"), (200, "ok\n".to_owned()));
    let mut first = [0];
    assert_eq!((&ports[0]).read(&mut first).ok(), Some(0), "the longest silent one has gone");
    assert_eq!((&probes[0]).read(&mut first).ok(), Some(0));
    let ended = |on| [("on", on), ("cause", "crowded")];
    let seen = edge.metrics();
    assert!(seen.sum("ravelin_admin_connections_ended_total", &ended("port")) >= 17.0);
    assert!(seen.sum("ravelin_admin_connections_ended_total", &ended("socket")) >= 5.0);
    drop((ports, probes));
    edge.await_metric("ravelin_admin_connections_open", &[("on", "socket")], 0.0);
}

#[test]
fn a_socket_that_cannot_be_made_stops_the_start_and_is_named() {
    let (builder, socket) = edge().probed();
    std::fs::write(&socket, "").expect("a new file");
    let refusal = builder.refusal();
    assert!(refusal.starts_with("admin.socket ") && refusal.contains("not a socket"), "{refusal}");
    let refusal = edge().set("admin", "socket", "\"/nonexistent/admin.sock\"").refusal();
    assert!(refusal.contains("/nonexistent/admin.sock"), "{refusal}");
}
