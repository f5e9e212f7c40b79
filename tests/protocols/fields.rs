//! What a request of HTTP/2 says, and which of it is refused.

use crate::certificates::Issued;
use crate::frames::{self, Frames, GOAWAY, HEADERS, PROTOCOL_ERROR, RST_STREAM};
use crate::multiplexed::{Answer, Connection, get, request, run};
use crate::secured::{HOST, secured, secured_by};
use crate::support::{Builder, Refusing, Upstream};
use http::Request;

/// What a request is answered, and that it never reaches the backend.
fn refused(builder: impl FnOnce(Builder) -> Builder, request: Request<()>) -> Answer {
    let upstream = Upstream::saying("hello");
    let edge = builder(secured(upstream.addr())).start();
    let answer = run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let answer = connection.ask(request).await;
        assert_eq!(connection.ask(get("/next")).await.text(), "hello", "others are unharmed");
        answer
    });
    assert_eq!(upstream.only_request().target(), "/next");
    answer
}

#[test]
fn the_upstream_gets_one_host_one_path_and_one_cookie() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    let answer = run(async {
        let request = request("GET", "/x/../a//%7eb?q=%2e")
            .header("cookie", "a=1")
            .header("cookie", "b=2; c=3")
            .header("te", "trailers")
            .header("x-forwarded-for", "192.0.2.1");
        Connection::open(edge.addr()).await.ask(request.body(()).expect("valid")).await
    });
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"));
    let request = upstream.only_request();
    assert_eq!(request.start, "GET /a/~b?q=%2e HTTP/1.1");
    assert_eq!(
        request.sorted_fields(),
        [
            "cookie: a=1; b=2; c=3".to_owned(),
            format!("host: {HOST}"),
            "x-forwarded-for: 127.0.0.1".to_owned(),
            format!("x-forwarded-host: {HOST}"),
            format!("x-forwarded-port: {}", edge.addr().port()),
            "x-forwarded-proto: https".to_owned(),
            "x-real-ip: 127.0.0.1".to_owned(),
        ],
    );
    assert_eq!(edge.await_log(1)[0]["path"], "/a/~b");
}

#[test]
fn a_host_beside_the_authority_must_be_the_same() {
    let other = get("/").into_parts().0;
    let mut other = Request::from_parts(other, ());
    other.headers_mut().insert("host", "b.example".parse().expect("a value"));
    let answer = refused(|builder| builder, other);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("bad_host"), "{}", answer.text());

    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    let same = request("GET", "/").header("host", HOST).body(()).expect("valid");
    let answer = run(async { Connection::open(edge.addr()).await.ask(same).await });
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.only_request().field("host"), Some(HOST));
}

#[test]
fn more_than_100_fields_are_a_431_and_100_are_served() {
    let with = |count: usize| {
        (0..count)
            .fold(request("GET", "/"), |request, number| request.header(format!("x-{number}"), "1"))
            .body(())
            .expect("valid")
    };
    let answer = refused(|builder| builder, with(101));
    assert_eq!(answer.status, 431);
    assert!(answer.text().contains("headers_too_large"), "{}", answer.text());

    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    let answer = run(async { Connection::open(edge.addr()).await.ask(with(100)).await });
    assert_eq!(answer.status, 200);
}

#[test]
fn a_header_list_of_more_bytes_than_the_limit_is_a_431() {
    let large = request("GET", "/").header("x", "x".repeat(6000)).body(()).expect("valid");
    let answer = refused(|builder| builder.set("limits", "header_block", "\"2KiB\""), large);
    assert_eq!(answer.status, 431);
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_a_400() {
    let answer = refused(|builder| builder, get("/a/..;/b"));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("bad_target"), "{}", answer.text());
}

#[test]
fn a_host_outside_the_certificate_is_a_421() {
    let other = Request::get("https://b.example/").body(()).expect("valid");
    let answer = refused(|builder| builder, other);
    assert_eq!(answer.status, 421);
    assert!(answer.text().contains("misdirected_request"), "{}", answer.text());
}

#[test]
fn a_host_under_a_wildcard_of_the_certificate_is_served_on_the_same_connection() {
    let upstream = Upstream::saying("hello");
    let edge = secured_by(&Issued::new(&[HOST, "*.b.example"]), upstream.addr()).start();
    let statuses = run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let mut statuses = Vec::new();
        for host in [HOST, "x.b.example", "c.example", "y.b.example"] {
            let request = Request::get(format!("https://{host}/")).body(()).expect("valid");
            statuses.push(connection.ask(request).await.status.as_u16());
        }
        statuses
    });
    assert_eq!(statuses, [200, 200, 421, 200]);
}

#[test]
fn an_error_of_ours_to_head_has_a_length_and_no_body() {
    let nobody = Refusing::new();
    let edge = secured(nobody.addr()).start();
    let head = request("HEAD", "/").body(()).expect("valid");
    let (answer, same) = run(async {
        let mut connection = Connection::open(edge.addr()).await;
        (connection.ask(head).await, connection.ask(get("/")).await)
    });
    assert_eq!((answer.status.as_u16(), same.status.as_u16()), (502, 502));
    assert_eq!(answer.body, b"");
    assert_eq!(answer.field("content-length"), Some(&*same.body.len().to_string()));
    assert!(same.text().contains("connect_failed"), "{}", same.text());
}

#[test]
fn an_error_of_ours_to_a_call_of_grpc_is_trailers_alone() {
    let nobody = Refusing::new();
    let edge = secured(nobody.addr()).start();
    let call = request("POST", "/pkg.Service/Method")
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    let response = run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let response = connection.send(call.body(()).expect("valid")).await.await;
        response.expect("an answer")
    });
    let field = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    assert!(response.body().is_end_stream(), "the head is all there is");
    assert_eq!(response.status(), 200);
    assert_eq!(field("content-type"), Some("application/grpc"));
    // UNAVAILABLE, which clients try again.
    assert_eq!(field("grpc-status"), Some("14"));
    assert!(field("grpc-message").is_some_and(|text| text.starts_with("connect_failed")));
    edge.ended("connect_failed");
}

#[test]
fn fields_of_a_connection_reset_their_stream_alone() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    let (mut frames, _) = Frames::open(edge.addr());
    let mut stream = 1;
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
    ] {
        frames.send(&frames::get(stream, "/", &[(name, value)]));
        let reset = frames.next_of(RST_STREAM);
        assert_eq!((reset.stream, reset.error()), (stream, PROTOCOL_ERROR), "{name}");
        stream += 2;
    }
    frames.send(&frames::get(stream, "/good", &[]));
    assert_eq!(frames.next_of(HEADERS).stream, stream);
    assert_eq!(upstream.only_request().target(), "/good");
}

#[test]
fn connect_is_refused_and_extended_connect_neither_offered_nor_taken() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    let (mut frames, settings) = Frames::open(edge.addr());
    let value = |id| settings.settings().iter().find(|(found, _)| *found == id).map(|(_, v)| *v);
    // RFC 9113 section 6.5.2; 8 is SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3).
    assert_eq!(value(3), Some(200), "streams");
    assert_eq!(value(4), Some(6 * 1024 * 1024), "window");
    assert_eq!(value(6), Some(128 * 1024 + 100 * 32 + 256 * 38 + 4 * 42), "header list");
    assert_eq!(value(8), None);

    let pseudo = [(":scheme", "https"), (":authority", HOST), (":path", "/")];
    frames.send(&frames::connect(1, &[&[(":protocol", "websocket")], &pseudo[..]].concat()));
    let reset = frames.next_of(RST_STREAM);
    assert_eq!((reset.stream, reset.error()), (1, PROTOCOL_ERROR));
    frames.send(&frames::connect(3, &[(":authority", "a.example:443")]));
    let answer = frames.next();
    assert!(answer.as_ref().is_some_and(|frame| frame.kind != GOAWAY), "{answer:?}");
    let line = edge.await_log(1).remove(0);
    assert_eq!((&line["reason"], &line["status"]), (&"connect_refused".into(), &501.into()));
    assert_eq!(upstream.connections(), 0);
}
