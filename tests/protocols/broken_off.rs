//! Answers and uploads that end before their end, as a client of HTTP/2 sees them.

use crate::multiplexed::{Connection, get, next, request, reset, run, whole};
use crate::secured::secured;
use crate::support::Upstream;
use crate::until::until;
use bytes::Bytes;
use h2::Reason;

#[test]
fn an_upstream_that_dies_in_the_middle_of_its_answer_resets_the_stream_without_an_end() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            match request.target() {
                "/chunked" => {
                    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
                    return;
                }
                "/length" => {
                    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
                    return;
                }
                _ => conn.answer("whole"),
            }
        }
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        for path in ["/chunked", "/length"] {
            let mut body = connection.send(get(path)).await.await.expect("a head").into_body();
            assert_eq!(next(&mut body).await.expect("a part").expect("a part"), "half");
            let error = next(&mut body).await.expect("no proper end").expect_err("no more");
            let reason = reset(&error).unwrap_or_else(|| panic!("{path}: {error:?}"));
            assert_ne!(reason, Reason::NO_ERROR, "{path}");
            assert_eq!(connection.ask(get("/")).await.text(), "whole", "others are unharmed");
        }
    });
    let cut = [("reason", "upstream_truncated")];
    edge.await_metric("ravelin_requests_total", &cut, 2.0);
}

#[test]
fn an_upstream_that_closes_without_an_answer_is_a_502_on_its_stream_alone() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/closed" {
                return;
            }
            conn.answer("whole");
        }
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let answer = connection.post("/closed", "body").await;
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains("upstream_in_doubt"), "{}", answer.text());
        assert_eq!(connection.ask(get("/")).await.text(), "whole");
    });
}

#[test]
fn an_answer_before_the_end_of_an_upload_reaches_a_client_that_goes_on_sending() {
    let upstream = Upstream::scripted(|conn| {
        let request = conn.head().expect("a request");
        if request.method() == "GET" {
            return conn.answer("whole");
        }
        conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge");
        // The body is nobody's.
        conn.closes();
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let (response, mut stream) =
            connection.begin(request("POST", "/").body(()).expect("valid")).await;
        stream.send_data(Bytes::from(vec![b'x'; 16 * 1024]), false).expect("an open stream");
        let answer = whole(response.await.expect("an answer")).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (413, "large"));
        // RFC 9113 section 8.1: the rest is not wanted, and that is no error.
        let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.expect("a reset");
        assert_eq!(reason, Reason::NO_ERROR);
        assert_eq!(connection.ask(get("/")).await.text(), "whole");
    });
    upstream.await_closed(1);
}

/// RFC 9113 section 8.1 lets a server say NO_ERROR for "no more is wanted"; of a client it is no end of its body.
#[test]
fn an_upload_that_its_client_resets_midway_never_looks_whole_to_the_pod_whatever_the_code() {
    let upstream = Upstream::scripted(|conn| {
        let Some(mut request) = conn.head() else { return };
        let is_whole = conn.wire.body(&mut request).is_ok();
        assert!(!is_whole, "{:?}", request.text());
        conn.closes();
    });
    let edge = secured(upstream.addr()).start();
    for (count, reason) in (1..).zip([Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR]) {
        run(async {
            let mut connection = Connection::open(edge.addr()).await;
            let (_response, mut stream) =
                connection.begin(request("POST", "/").body(()).expect("valid")).await;
            stream.send_data(Bytes::from_static(b"half"), false).expect("an open stream");
            let begun = || upstream.connections() == count;
            until("it is on its way", begun).await;
            stream.send_reset(reason);
            let gone = [("reason", "client_gone")];
            #[expect(clippy::cast_precision_loss, reason = "a few")]
            let ended = || edge.metrics().sum("ravelin_requests_total", &gone) >= count as f64;
            until("it has ended", ended).await;
        });
        upstream.await_closed(count);
    }
}

#[test]
fn a_client_that_vanishes_ends_all_its_requests_upstream() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        conn.closes();
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let first = connection.send(get("/1")).await.await.expect("a head");
        let second = connection.send(get("/2")).await.await.expect("a head");
        connection.vanish();
        drop((first, second));
    });
    upstream.await_closed(2);
    edge.await_metric("ravelin_requests_total", &[("reason", "client_gone")], 2.0);
}
