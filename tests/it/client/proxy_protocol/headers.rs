//! Headers that are taken: how they may arrive, and what follows from them.

use super::super::is_reset;
use super::{REQUEST, behind_balancer, binary, line, local, proxied};
use crate::support::{Client, Edge, Message, Upstream, edge_to};

/// What the upstream was told of a request, and its log line.
fn assert_from(request: &Message, line: &serde_json::Value, client: &str, peer: &str, port: &str) {
    for (name, value) in [
        ("x-forwarded-for", client),
        ("x-real-ip", client),
        ("x-forwarded-port", port),
        ("x-forwarded-proto", "http"),
    ] {
        assert_eq!(request.field(name), Some(value), "{request:?}");
    }
    assert_eq!((&line["client"], &line["peer"]), (&client.into(), &peer.into()), "{line}");
    let balancer = line["balancer"].as_str().expect("an address");
    assert!(balancer.starts_with("127.0.0.1:"), "{line}");
}

/// Every sort of header, and the source that it names.
fn headers() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    // PP2_TYPE_NOOP, PP2_TYPE_AUTHORITY and one that nobody has assigned.
    let fields = b"\x04\0\x01\0\x02\0\x01a\xee\0\0";
    let mut with_fields = proxied("192.0.2.1", 8080);
    with_fields.extend(fields);
    with_fields[15] += u8::try_from(fields.len()).expect("short");
    vec![
        (line("192.0.2.1", 8080), "192.0.2.1", "192.0.2.1:40000"),
        (line("2001:db8::7", 8080), "2001:db8::7", "[2001:db8::7]:40000"),
        (line("::ffff:192.0.2.1", 8080), "192.0.2.1", "192.0.2.1:40000"),
        (proxied("192.0.2.1", 8080), "192.0.2.1", "192.0.2.1:40000"),
        (proxied("2001:db8::7", 8080), "2001:db8::7", "[2001:db8::7]:40000"),
        (proxied("::ffff:192.0.2.1", 8080), "192.0.2.1", "192.0.2.1:40000"),
        (with_fields, "192.0.2.1", "192.0.2.1:40000"),
    ]
}

/// Sends each header with a request in some way, and checks what comes of it.
fn each(send: impl Fn(&mut Client, &[u8], &Edge)) {
    let upstream = Upstream::saying("ok");
    let edge = behind_balancer(&upstream).start();
    for (number, (header, client, peer)) in headers().into_iter().enumerate() {
        let mut connection = edge.connect();
        send(&mut connection, &header, &edge);
        assert_eq!(connection.response().text(), "ok", "{header:?}");
        let line = &edge.await_log(number + 1)[number];
        assert_from(&upstream.requests()[number], line, client, peer, "8080");
    }
}

#[test]
fn header_and_request_may_come_in_one_segment() {
    each(|client, header, _| client.send([header, REQUEST.as_bytes()].concat()));
}

#[test]
fn header_and_request_may_come_byte_by_byte() {
    each(|client, header, _| {
        for byte in [header, REQUEST.as_bytes()].concat() {
            client.send([byte]);
        }
    });
}

#[test]
fn the_request_may_come_long_after_the_header() {
    each(|client, header, edge| {
        client.send(header);
        // The worker has been at work in between.
        edge.await_metric("ravelin_connections_open", &[], 1.0);
        let mut other = edge.connect();
        other.send(line("198.51.100.1", 80));
        is_reset(&mut other);
        client.send(REQUEST);
    });
}

#[test]
fn the_source_holds_for_every_request_of_the_connection() {
    let upstream = Upstream::saying("ok");
    let edge = behind_balancer(&upstream).start();
    let mut client = edge.connect();
    client.send(proxied("192.0.2.1", 443));
    for _ in 0..3 {
        assert_eq!(client.get("a", "/").status(), 200);
    }
    // Pipelined.
    client.send(REQUEST.repeat(2));
    assert_eq!((client.response().status(), client.response().status()), (200, 200));
    let (requests, log) = (upstream.requests(), edge.await_log(5));
    for (request, line) in requests.iter().zip(&log) {
        assert_from(request, line, "192.0.2.1", "192.0.2.1:40000", "443");
    }
    assert_eq!((requests.len(), log.len()), (5, 5));
    // A second header is no request.
    client.send(line("192.0.2.2", 80));
    assert_eq!(client.response().status(), 400);
    client.closes();
}

#[test]
fn a_balancer_that_is_admitted_is_served_as_itself() {
    let upstream = Upstream::saying("ok");
    let edge =
        edge_to(&[upstream.addr()]).listener("proxy_protocol_from", "[\"127.0.0.0/8\"]").start();
    let unknown = b"PROXY UNKNOWN\r\n".to_vec();
    let unknown_with_rest = b"PROXY UNKNOWN 6.6.6.6 7.7.7.7 1 2\r\n".to_vec();
    // LOCAL holds whatever its block says, and a Unix socket has no address.
    let local_with_block = binary(0x20, 0x11, &[6; 12]);
    let unix = binary(0x21, 0x31, &[b'x'; 216]);
    let headers = [local(), unknown, unknown_with_rest, local_with_block, unix];
    for (number, header) in headers.into_iter().enumerate() {
        let mut client = edge.connect();
        let own = client.wire.stream.local_addr().expect("connected").to_string();
        client.send(&header);
        client.send(REQUEST);
        assert_eq!(client.response().status(), 200, "{header:?}");
        let request = &upstream.requests()[number];
        assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"), "{header:?}");
        let port = edge.addr().port().to_string();
        assert_eq!(request.field("x-forwarded-port"), Some(&*port), "{header:?}");
        let line = &edge.await_log(number + 1)[number];
        assert_eq!((&line["client"], &line["peer"]), (&"127.0.0.1".into(), &own.into()), "{line}");
        assert!(line["balancer"].is_null(), "{line}");
    }
    let checks = edge.metrics().sum("ravelin_connections_health_checks_total", &[]);
    assert!(checks.abs() < 0.5, "they were served: {checks}");
}

#[test]
fn a_source_that_is_a_trusted_proxy_names_its_client() {
    let upstream = Upstream::saying("ok");
    let edge = behind_balancer(&upstream).listener("trusted_proxies", "[\"192.0.2.8/32\"]").start();
    for (source, client) in [("192.0.2.8", "203.0.113.7"), ("192.0.2.9", "192.0.2.9")] {
        let mut connection = edge.connect();
        connection.send(line(source, 80));
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
        assert_eq!(connection.response().status(), 200);
        let requests = upstream.requests();
        let request = requests.last().expect("one at least");
        assert_eq!(request.field("x-forwarded-for"), Some(client));
    }
}
