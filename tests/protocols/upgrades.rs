//! What becomes of `Upgrade`, by a backend and a client that say exactly what they are told to.

use crate::multiplexed::{Connection, get, run};
use crate::secured::secured;
use crate::support::{Edge, Gate, Upstream, eventually};
use crate::switched::{End, SWITCHING, WEBSOCKET, agreed, await_open};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn nothing_behind_the_head_goes_upstream_before_it_has_agreed() {
    let served = Gate::default();
    let has_served = served.clone();
    let upstream = Upstream::scripted(move |conn| {
        let request = conn.head().expect("a request");
        if request.target() == "/other" {
            return conn.answer("other");
        }
        assert_eq!(request.field("upgrade"), Some("websocket"));
        assert_eq!(request.field("connection"), Some("upgrade"));
        assert_eq!(request.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        has_served.wait();
        let patience = conn.wire.stream.read_timeout().expect("a socket");
        let moment = Some(Duration::from_millis(20));
        conn.wire.stream.set_read_timeout(moment).expect("not zero");
        assert_eq!(conn.try_take(1), None, "not before the 101");
        conn.wire.stream.set_read_timeout(patience).expect("not zero");
        conn.send(format!("{SWITCHING}first"));
        conn.takes("early");
        conn.send("second");
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(format!("{WEBSOCKET}early"));
    // The worker, of which there is one, has read it all when it has served another request.
    assert_eq!(edge.get("a", "/other").text(), "other");
    served.open();
    agreed(&mut client);
    client.takes("firstsecond");
    drop(client);
    upstream.await_closed(1);
}

#[test]
fn what_a_client_sends_too_early_waits_and_arrives_whole() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let stuck = Gate::default();
    let is_stuck = stuck.clone();
    let upstream = Upstream::scripted(move |conn| {
        assert_eq!(conn.head().expect("a request").field("upgrade"), Some("websocket"));
        is_stuck.wait();
        conn.send(SWITCHING);
        let text = conn.try_take(LENGTH as u64).expect("all of it");
        let pieces = text.as_bytes().chunks_exact(8).enumerate();
        assert!(pieces.into_iter().all(|(n, piece)| piece == format!("{n:08}").as_bytes()));
        conn.send("thanks");
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(WEBSOCKET);
    let mut sending = client.wire.stream.try_clone().expect("files are left");
    let text: String = (0..LENGTH / 8).map(|number| format!("{number:08}")).collect();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let pouring = thread::spawn(move || {
        for piece in text.as_bytes().chunks(64 * 1024) {
            sending.write_all(piece).expect("all of it is taken in the end");
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    // Until nobody takes any more: what the proxy does not read stays with the kernel.
    let mut looks = (0, 0);
    eventually("the client is stuck, or through", || {
        let now = sent.load(Ordering::Relaxed);
        looks = if now == looks.0 { (now, looks.1 + 1) } else { (now, 0) };
        (now > 0 && looks.1 >= 20).then_some(())
    });
    stuck.open();
    agreed(&mut client);
    client.takes("thanks");
    pouring.join().expect("no panic");
    drop(client);
    upstream.await_closed(1);
}

#[test]
fn an_answer_that_does_not_agree_is_an_ordinary_one_and_what_follows_is_the_next_request() {
    for status in ["200 OK", "404 Not Found", "426 Upgrade Required"] {
        let upstream = Upstream::scripted(move |conn| {
            while let Some(request) = conn.request() {
                match request.target() {
                    "/chat" => conn.send(format!(
                        "HTTP/1.1 {status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Content-Length: 2\r\n\r\nno"
                    )),
                    _ => conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"),
                };
            }
        });
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        client.send(format!("{WEBSOCKET}GET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.response();
        assert_eq!((&answer.start[9..12], answer.text()), (&status[..3], "no"));
        assert_eq!(client.response().text(), "next");
        assert_eq!(client.get("a", "/again").text(), "next");
        assert_eq!(upstream.connections(), 1, "nor is the upstream's connection lost");
        let next = &upstream.requests()[1];
        assert_eq!((next.target(), next.field("upgrade")), ("/next", None));
        await_open(&edge, 0.0);
    }
}

/// What a client of an upstream that answers with 101 gets, and why.
fn refused(head: &str, request: &str) {
    let answer = format!("HTTP/1.1 101 Switching Protocols\r\n{head}\r\nbytes of the pod");
    let upstream = Upstream::scripted(move |conn| {
        conn.head();
        conn.send(&answer);
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(request);
    let answer = client.response();
    assert_eq!(answer.status(), 502, "{head:?}");
    assert!(answer.text().contains("upstream_upgraded"), "{}", answer.text());
    upstream.await_closed(1);
    edge.ended("upstream_upgraded");
    await_open(&edge, 0.0);
}

#[test]
fn a_switch_to_another_protocol_than_the_one_asked_for_is_a_502() {
    refused("Connection: Upgrade\r\nUpgrade: h2c\r\n", WEBSOCKET);
    refused("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", WEBSOCKET);
    refused("Connection: Upgrade\r\n", WEBSOCKET);
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_502() {
    let switched = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    refused(switched, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // Without `Connection: upgrade` it is a field like any other (RFC 9110 section 7.8).
    refused(switched, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
}

#[test]
fn an_upgrade_field_of_http_1_0_is_ignored() {
    let upstream = Upstream::saying("ok");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert!(client.wire.rest().starts_with(b"HTTP/1.0 200"));
    assert_eq!(upstream.only_request().field("upgrade"), None);
}

#[test]
fn a_switch_that_a_client_of_http_2_cannot_have_asked_for_is_a_502() {
    let upstream = Upstream::scripted(|conn| {
        conn.head();
        conn.send(SWITCHING);
        conn.closes();
    });
    let edge = secured(upstream.addr()).start();
    let answer = run(async { Connection::open(edge.addr()).await.ask(get("/")).await });
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("upstream_upgraded"), "{}", answer.text());
    upstream.await_closed(1);
}

/// What the upstream is asked of a request that it must take for an ordinary one.
fn served_without_upgrade(request: &str) -> Vec<String> {
    let upstream = Upstream::saying("ordinary");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(request);
    assert_eq!(client.response().text(), "ordinary");
    assert_eq!(client.get("a", "/next").text(), "ordinary", "the connection goes on");
    let mut request = upstream.requests().remove(0);
    assert!(request.whole);
    request.fields.retain(|(name, _)| !name.starts_with("x-"));
    request.fields.push(("body".to_owned(), request.text().to_owned()));
    request.sorted_fields()
}

#[test]
fn http_2_and_tls_are_never_upgraded_to() {
    for protocol in ["h2c", "H2C", "h2c, websocket", "websocket, h2c", "h2", "HTTP/2.0", "TLS/1.2"]
    {
        let fields = served_without_upgrade(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        ));
        assert_eq!(fields, ["body: ", "host: a"], "{protocol}");
    }
}

#[test]
fn two_upgrade_fields_ask_for_nothing_that_is_refused() {
    let fields = served_without_upgrade(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Upgrade: h2c\r\n\r\n",
    );
    assert_eq!(fields, ["body: ", "host: a"]);
}

#[test]
fn a_request_with_a_body_is_served_without_its_upgrade() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let fields = served_without_upgrade(&format!("{head}Content-Length: 4\r\n\r\nbody"));
    assert_eq!(fields, ["body: body", "content-length: 4", "host: a"]);
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    let fields = served_without_upgrade(&chunked);
    assert_eq!(fields, ["body: body", "host: a", "transfer-encoding: chunked"]);
}

#[test]
fn spdy_passes_as_kubectl_asks_for_it() {
    let upstream = Upstream::scripted(|conn| {
        let request = conn.head().expect("a request");
        assert_eq!((request.method(), request.field("upgrade")), ("POST", Some("SPDY/3.1")));
        assert_eq!(request.field("content-length"), Some("0"));
        assert_eq!(request.field("x-stream-protocol-version"), Some("v4.channel.k8s.io"));
        conn.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
             X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n",
        );
        conn.takes("ping");
        conn.send("pong");
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(
        "POST /api/v1/namespaces/a/pods/b/exec?command=sh HTTP/1.1\r\nHost: a\r\n\
         Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\
         X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n",
    );
    let head = client.head();
    assert_eq!((head.status(), head.field("upgrade")), (101, Some("SPDY/3.1")));
    assert_eq!(head.field("x-stream-protocol-version"), Some("v4.channel.k8s.io"));
    client.send("ping");
    client.takes("pong");
    drop(client);
    upstream.await_closed(1);
}
