//! What hyper lets pass, or keeps to itself: targets that are no URI, fragments, chunks, long methods.

use crate::support::{Edge, Upstream, edge_to};

#[test]
fn bytes_that_people_send_raw_pass_escaped() {
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    let targets: [(&[u8], &str); 6] = [
        (b"/a?q=\"x\"&r=<y>", "/a?q=%22x%22&r=%3Cy%3E"),
        (b"/<b>\"`", "/%3Cb%3E%22%60"),
        ("/caf\u{e9}?\u{e9}".as_bytes(), "/caf%C3%A9?%C3%A9"),
        (b"/latin\xe9?\xff", "/latin%E9?%FF"),
        (b"/{x}|^?{y}|^", "/%7Bx%7D%7C%5E?{y}|^"),
        (b"/plain?q=1", "/plain?q=1"),
    ];
    for (target, _) in targets {
        client.send([b"GET ", target, b" HTTP/1.1\r\nHost: a\r\nX: \"<#>\"\r\n\r\n"].concat());
        assert_eq!(client.response().status(), 200, "{}", String::from_utf8_lossy(target));
    }
    let requests = upstream.requests();
    let forwarded: Vec<_> = requests.iter().map(|request| request.target()).collect();
    assert_eq!(forwarded, targets.map(|(_, forwarded)| forwarded));
    assert!(requests.iter().all(|request| request.field("x") == Some("\"<#>\"")));
}

#[test]
fn requests_behind_each_other_are_read_whole_with_their_bodies() {
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    let all = "POST /1?\" HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n<#\"a \
               GET /2?\" HTTP/1.1\r\nHost: a\r\n\r\n\
               POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
               5;a=\"b\"\r\n<#\"a \r\n0\r\n\r\n\
               GET /4?\" HTTP/1.1\r\nHost: a\r\n\r\n";
    for size in [all.len(), 1, 7] {
        for piece in all.as_bytes().chunks(size) {
            client.send(piece);
        }
        for _ in 0..4 {
            assert_eq!(client.response().text(), "through", "in pieces of {size}");
        }
    }
    let requests = upstream.requests();
    let got: Vec<_> = requests.iter().map(|r| (r.target(), r.text())).collect();
    let each = [("/1?%22", "<#\"a "), ("/2?%22", ""), ("/3", "<#\"a "), ("/4?%22", "")];
    assert_eq!(got, [each, each, each].concat());
}

#[test]
fn a_request_with_two_framings_is_read_by_its_chunks_and_is_the_last() {
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ] {
        let mut client = edge.connect();
        let behind = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n{behind}"));
        let response = client.response();
        assert_eq!((response.status(), response.field("connection")), (200, Some("close")));
        assert!(client.wire.rest().is_empty(), "{fields}");
    }
    assert!(upstream.requests().iter().all(|request| request.target() == "/"));
}

#[test]
fn a_fragment_is_refused_and_logged_as_it_was_sent() {
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("GET /ok HTTP/1.1\r\nHost: a\r\n\r\nGET /a#/../b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "through");
    let refusal = client.response();
    assert_eq!(refusal.status(), 400);
    assert!(refusal.text().contains("bad_target"), "{refusal:?}");
    client.closes();
    let line = edge.await_log(2).remove(1);
    assert_eq!((&line["method"], &line["path"]), (&"GET".into(), &"/a#/../b".into()));
    assert_eq!(line["reason"], "bad_target");
    assert_eq!(upstream.only_request().target(), "/ok");
}

#[test]
fn a_target_that_is_refused_is_logged_as_it_was_sent() {
    for (head, path, host) in [
        ("GET /%zz?key=secret HTTP/1.1\r\nHost: a.example\r\n\r\n", "/%zz", "a.example"),
        ("GET /x/..%2fy HTTP/1.1\r\nHost: a.example\r\n\r\n", "/x/..%2fy", "a.example"),
        ("GET /two words HTTP/1.1\r\nHost: a.example\r\n\r\n", "/two words", ""),
        ("GET /x HTTP/1.1\r\nno colon\r\n\r\n", "/x", ""),
    ] {
        let edge = edge_to(&[]).start();
        let mut client = edge.connect();
        client.send(head);
        assert_eq!(client.response().status(), 400, "{head}");
        let line = edge.await_log(1).remove(0);
        assert_eq!((&line["path"], &line["host"]), (&path.into(), &host.into()), "{head}");
        assert_eq!(line["method"], "GET", "{head}");
        assert!(!line.to_string().contains("secret"), "{line}");
    }
}

#[test]
fn chunks_that_two_readers_could_end_in_two_places_are_refused() {
    let upstream = Upstream::scripted(|conn| while conn.request().is_some_and(|r| r.whole) {});
    let edge = Edge::to(&[upstream.addr()]);
    for body in [
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;\0\r\nhello\r\n0\r\n\r\n",
        "5;a@b\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;a=\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = edge.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        let refusal = client.response();
        assert_eq!(refusal.status(), 400, "{body:?}");
        assert!(refusal.text().contains("malformed_body"), "{refusal:?}");
    }
    assert!(upstream.requests().iter().all(|request| !request.whole));
}

#[test]
fn a_method_longer_than_any_is_a_501() {
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask(&"M".repeat(32), "a", "/");
    assert_eq!(client.response().text(), "through");
    client.ask(&"M".repeat(33), "a", "/");
    let refusal = client.response();
    assert_eq!(refusal.status(), 501);
    assert!(refusal.text().contains("not_implemented"), "{refusal:?}");
}
