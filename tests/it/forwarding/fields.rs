//! Which fields pass, which end here, which are ours; and the target that is forwarded.

use crate::support::{Edge, Upstream};
use std::net::SocketAddr;

/// What a backend gets for a request head (without its first blank line): first line and fields.
fn received(head: &str) -> (String, Vec<String>, SocketAddr) {
    let upstream = Upstream::saying("ok");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(format!("{head}\r\n"));
    assert_eq!(client.response().status(), 200, "{head}");
    let request = upstream.only_request();
    let fields = request.sorted_fields();
    (request.start, fields, edge.addr())
}

/// The fields of a request from loopback to `host`, with some of its own.
fn ours_and(host: &str, edge: SocketAddr, own: &[&str]) -> Vec<String> {
    let mut fields = vec![
        format!("host: {host}"),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        format!("x-forwarded-host: {host}"),
        format!("x-forwarded-port: {}", edge.port()),
        "x-forwarded-proto: http".to_owned(),
        "x-real-ip: 127.0.0.1".to_owned(),
    ];
    fields.extend(own.iter().map(|&field| field.to_owned()));
    fields.sort();
    fields
}

#[test]
fn the_upstream_gets_the_fields_of_the_client_and_ours_and_no_others() {
    let (start, fields, edge) = received(
        "GET /a HTTP/1.1\r\nHost: App.Example:8080\r\nUser-Agent: test\r\nCookie: a=1\r\n\
         Cookie: b=2\r\nCF-Ray: 7\r\nAuthorization: Basic eA==\r\nEmpty:\r\n",
    );
    assert_eq!(start, "GET /a HTTP/1.1");
    // Two fields of that name are one to a backend (RFC 6265 section 5.4).
    let own = ["user-agent: test", "cookie: a=1; b=2", "authorization: Basic eA==", "empty: "];
    assert_eq!(fields, ours_and("App.Example:8080", edge, &own));
}

#[test]
fn fields_of_the_connection_end_here() {
    let (_, fields, edge) = received(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-secret, X-Forwarded-For, host\r\n\
         Connection: x-real-ip\r\nKeep-Alive: timeout=5\r\nX-Secret: 1\r\nTE: trailers\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nX-Kept: 1\r\n",
    );
    assert_eq!(fields, ours_and("a", edge, &["x-kept: 1"]));
}

#[test]
fn a_client_cannot_say_who_it_is() {
    let (_, fields, edge) = received(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\n\
         x-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\
         X-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
         X-Real_IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\n\
         X-Forwarded-Server: evil\r\n",
    );
    assert_eq!(fields, ours_and("a", edge, &[]));
}

#[test]
fn the_response_keeps_its_fields_and_loses_those_of_the_connection() {
    let upstream = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.send(
                "HTTP/1.1 200 OK\r\nServer: mine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                 Connection: keep-alive, X-Internal\r\nKeep-Alive: timeout=5\r\nX-Internal: 1\r\n\
                 Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok",
            );
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let response = edge.get("a", "/");
    let expected = [
        "content-length: 2",
        "date: Thu, 01 Jan 1970 00:00:00 GMT",
        "server: mine",
        "set-cookie: a=1",
        "set-cookie: b=2",
    ];
    assert_eq!(response.sorted_fields(), expected);
}

#[test]
fn our_name_stands_in_for_a_server_that_gives_none() {
    let upstream = Upstream::saying("ok");
    let edge = Edge::to(&[upstream.addr()]);
    assert_eq!(edge.get("a", "/").field("server"), Some("ravelin"));
}

#[test]
fn the_path_is_forwarded_in_the_form_that_was_matched_and_logged() {
    let upstream = Upstream::saying("ok");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    let targets = [
        ("/a/../b/./c//d", "/b/c/d"),
        ("/%61%2F%2f%7e", "/a%2F%2F~"),
        ("/%2e%2e/%2E/x", "/x"),
        ("/..", "/"),
        ("/a/?q=/../%2e&x=a%zz", "/a/?q=/../%2e&x=a%zz"),
        ("/a?", "/a?"),
        ("/.well-known/x", "/.well-known/x"),
        ("http://a/abs/../olute?q", "/olute?q"),
        ("http://a", "/"),
        ("http://a?q", "/?q"),
    ];
    for (target, _) in targets {
        assert_eq!(client.get("a", target).status(), 200, "{target}");
    }
    let requests = upstream.requests();
    let forwarded: Vec<_> = requests.iter().map(|request| request.target()).collect();
    assert_eq!(forwarded, targets.map(|(_, forwarded)| forwarded));
    let lines = edge.await_log(targets.len());
    let logged: Vec<_> = lines.iter().map(|line| line["path"].as_str()).collect();
    let path = |target: &'static str| target.split('?').next();
    assert_eq!(logged, targets.map(|(_, forwarded)| path(forwarded)));
}

#[test]
fn the_authority_of_an_absolute_target_wins_over_host() {
    let (start, fields, edge) =
        received("GET http://real.example:81/x HTTP/1.1\r\nHost: other\r\n");
    assert_eq!(start, "GET /x HTTP/1.1");
    assert_eq!(fields, ours_and("real.example:81", edge, &[]));
}
