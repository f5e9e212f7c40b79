//! Which connections live on, and whose answer is whose.

use crate::support::{Edge, Framing, Upstream, edge, ingress, is_by_hyper, rule};

#[test]
fn two_requests_share_both_connections() {
    let upstream = Upstream::saying("here");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for _ in 0..2 {
        assert_eq!(client.get("a.example", "/").text(), "here");
    }
    assert_eq!((upstream.requests().len(), upstream.connections()), (2, 1));
    edge.await_metric("ravelin_connections_accepted_total", &[], 1.0);
    edge.await_metric("ravelin_upstream_reuses_total", &[], 1.0);
}

#[test]
fn a_client_that_asks_for_close_gets_it_and_the_upstream_connection_stays() {
    let upstream = Upstream::saying("here");
    let edge = Edge::to(&[upstream.addr()]);
    for _ in 0..2 {
        let mut client = edge.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let response = client.response();
        assert_eq!((response.text(), response.field("connection")), ("here", Some("close")));
        client.closes();
    }
    assert_eq!(upstream.connections(), 1);
    assert!(upstream.requests().iter().all(|request| request.field("connection").is_none()));
}

#[test]
fn an_upstream_that_closes_costs_the_client_nothing() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nonce");
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for _ in 0..3 {
        let response = client.get("a.example", "/");
        assert_eq!((response.text(), response.field("connection")), ("once", None));
    }
    assert_eq!(upstream.connections(), 3);
    upstream.await_closed(3);
}

#[test]
fn pipelined_requests_get_their_own_answers_in_order() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            conn.answer(request.target());
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    let requests: String = (0..20)
        .map(|n| match n % 2 {
            0 => format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
            _ => format!("PUT /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGET"),
        })
        .collect();
    client.send(requests);
    for n in 0..20 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
    assert_eq!(upstream.requests().len(), 20);
}

#[test]
fn a_client_of_http_1_0_is_answered_in_its_way() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            assert!(request.start.ends_with("HTTP/1.1"), "{}", request.start);
            match request.target() {
                "/chunked" => {
                    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    conn.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
                }
                _ => conn.answer("abcde"),
            }
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    for target in ["/length", "/chunked"] {
        let mut client = edge.connect();
        client.send(format!("GET {target} HTTP/1.0\r\nHost: a.example\r\n\r\n"));
        let answer = client.wire.rest();
        let answer = String::from_utf8(answer).expect("UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
        assert_eq!(body, "abcde");
    }
    let line = &edge.await_log(2)[0];
    assert_eq!(line["protocol"], "HTTP/1.0");
}

#[test]
fn a_client_of_http_1_0_may_keep_its_connection() {
    let upstream = Upstream::saying("here");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for last in [false, true] {
        let keep = if last { "" } else { "Connection: keep-alive\r\n" };
        client.send(format!("GET / HTTP/1.0\r\nHost: a\r\n{keep}\r\n"));
        if last {
            let rest = client.wire.rest();
            assert!(rest.ends_with(b"here"));
        } else {
            let mut head = client.head_of_http_1_0();
            assert_eq!(
                head.field("connection").map(str::to_ascii_lowercase).as_deref(),
                Some("keep-alive")
            );
            assert_eq!(head.framing, Framing::Length(4));
            client.wire.body(&mut head).expect("whole");
        }
    }
}

#[test]
fn a_request_of_http_1_0_without_host_meets_the_rules_without_host() {
    let upstream = Upstream::saying("anybody");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let rest = client.wire.rest();
    assert!(rest.ends_with(b"anybody"), "{}", String::from_utf8_lossy(&rest));
}

/// What pods do that want nothing of a body: nginx answers a POST to a page that is not there before it has read it.
#[test]
fn an_upload_that_is_answered_before_its_end_costs_the_client_no_connection() {
    if is_by_hyper() {
        return;
    }
    const LENGTH: usize = 200_000;
    let upstream = Upstream::scripted(|conn| {
        while let Some(mut request) = conn.head() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
            conn.body(&mut request);
        }
    });
    let own = rule("a.example", &[("/", "Prefix", "web")]);
    let edge = edge()
        .service("web", &[upstream.addr()])
        .object("own.json", &ingress("own", &[own]))
        .start();
    let mut client = edge.connect();
    for (host, status) in [("a.example", 200), ("nobody.example", 404)] {
        for length in [LENGTH, 1000] {
            let head =
                format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\nbegun");
            client.send(head);
            let answer = client.response();
            assert_eq!((answer.status(), answer.field("connection")), (status, None), "{host}");
            client.send(vec![b'x'; length - "begun".len()]);
        }
    }
    client.ask("GET", "a.example", "/");
    assert_eq!(client.response().text(), "early");
}

#[test]
fn a_body_that_may_never_come_or_has_no_end_in_sight_is_not_waited_for_for_long() {
    if is_by_hyper() {
        return;
    }
    let edge = edge().start();
    for (rest, body) in [
        ("Transfer-Encoding: chunked", "5\r\nbegun\r\n"),
        ("Content-Length: 5\r\nExpect: 100-continue", ""),
        ("Content-Length: 2000000", "begun"),
        ("Transfer-Encoding: chunked", "zz"),
    ] {
        let mut client = edge.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}\r\n\r\n{body}"));
        assert!(client.response().status() >= 400, "{rest}");
        assert!(client.is_closed(), "{rest}");
    }
}
