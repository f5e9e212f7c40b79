//! Interim responses over HTTP/2 (RFC 9110 section 15.2): Cloudflare makes Early Hints of 103, and does not give up on
//! a request while 102 comes. tests/it has them over HTTP/1.1.

use crate::multiplexed::{Answer, Connection, get, request, run, whole};
use crate::program;
use crate::secured::{HOST, h2c, secured, verifiable};
use crate::support::framed::{self, answer, frame, literal};
use crate::support::{Gate, Upstream};
use bytes::Bytes;
use h2::client::ResponseFuture;
use http::Response;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process::Command;
use std::task::Poll;

const HEADERS: u8 = 1;
const END_HEADERS: u8 = 4;

/// What is said before an answer, and the answer.
async fn hinted(mut response: ResponseFuture) -> (Vec<Response<()>>, Answer) {
    let mut interim = Vec::new();
    let answer = poll_fn(|cx| {
        while let Poll::Ready(Some(hint)) = response.poll_informational(cx) {
            interim.push(hint.expect("no reset"));
        }
        Pin::new(&mut response).poll(cx)
    });
    let answer = answer.await.expect("an answer");
    (interim, whole(answer).await)
}

/// The next interim response.
async fn hint(response: &mut ResponseFuture) -> Response<()> {
    let hint = poll_fn(|cx| response.poll_informational(cx)).await;
    hint.expect("one before the answer").expect("no reset")
}

/// A head of HTTP/2 that is not the last of its stream.
fn interim(stream: u32, status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = literal((":status", status));
    block.extend(fields.iter().copied().flat_map(literal));
    frame(HEADERS, END_HEADERS, stream, &block)
}

fn http1_pod() -> Upstream {
    Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.send(
                "HTTP/1.1 100 Continue\r\n\r\n\
                 HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Own: 1\r\nConnection: x-own\r\n\
                 Keep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\n\
                 HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
            );
        }
    })
}

fn http2_pod() -> Upstream {
    Upstream::scripted(|conn| {
        framed::serve(conn, |conn, stream, _| {
            conn.send(interim(stream, "100", &[]));
            conn.send(interim(stream, "103", &[("link", "</a.css>")]));
            conn.send(interim(stream, "103", &[("link", "</b.css>")]));
            conn.send(answer(stream, b"final"));
        });
    })
}

#[test]
fn hints_come_before_the_answer_from_pods_of_either_protocol_and_100_is_ours_to_say() {
    let (first, second) = (http1_pod(), http2_pod());
    for edge in [secured(first.addr()).start(), h2c(second.addr()).start()] {
        run(async {
            let mut connection = Connection::open(edge.addr()).await;
            for _ in 0..2 {
                let (hints, answer) = hinted(connection.send(get("/")).await).await;
                assert_eq!((answer.status.as_u16(), answer.text()), (200, "final"));
                assert_eq!(answer.field("link"), None);
                let links: Vec<_> = hints.iter().map(|hint| &hint.headers()["link"]).collect();
                assert_eq!(links, ["</a.css>", "</b.css>"]);
                for hint in &hints {
                    assert_eq!(
                        (hint.status().as_u16(), hint.headers().len()),
                        (103, 1),
                        "{hint:?}"
                    );
                }
            }
        });
    }
}

#[test]
fn a_hint_is_here_before_the_answer_is_made() {
    let known = Gate::default();
    let is_known = known.clone();
    let upstream = Upstream::scripted(move |conn| {
        conn.request();
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        is_known.wait();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut response = Connection::open(edge.addr()).await.send(get("/")).await;
        assert_eq!(hint(&mut response).await.headers()["link"], "</a.css>");
        known.open();
        assert_eq!(whole(response.await.expect("an answer")).await.text(), "late");
    });
}

#[test]
fn a_pod_that_says_no_end_of_hints_fills_nobodys_memory_and_its_answer_comes() {
    const SAID: usize = 4000;
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: </{}>\r\n\r\n", "a".repeat(100));
        conn.send(hint.repeat(SAID));
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal");
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let response = Connection::open(edge.addr()).await.send(get("/")).await;
        let (hints, answer) = hinted(response).await;
        assert_eq!(answer.text(), "final");
        // 64 KiB, of 171 bytes each with the overhead of RFC 9113 section 6.5.2.
        assert_eq!(hints.len(), 64 * 1024 / (4 + 103 + 32 + 32), "of {SAID}");
    });
}

#[test]
fn an_upload_that_waits_to_be_asked_for_is_asked_for_when_the_pod_has_its_head() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let head =
            || request("POST", "/").header("expect", "100-Continue").body(()).expect("valid");
        let (mut response, mut stream) = connection.begin(head()).await;
        let told = hint(&mut response).await;
        assert_eq!((told.status().as_u16(), told.headers().len()), (100, 0));
        stream.send_data(Bytes::from_static(b"body"), true).expect("an open stream");
        assert_eq!(hinted(response).await.1.text(), "hello");
        // One that does not wait is not told to go on.
        let (response, mut stream) = connection.begin(head()).await;
        stream.send_data(Bytes::from_static(b"body"), true).expect("an open stream");
        let (_, answer) = hinted(response).await;
        assert_eq!(answer.text(), "hello");
    });
    for request in upstream.requests() {
        assert_eq!((request.text(), request.field("expect")), ("body", None));
    }
}

#[test]
fn nobody_is_asked_for_a_body_that_nobody_takes() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let head =
            request("POST", "/").header("expect", "100-continue").header("host", "b.example");
        let (response, _stream) = connection.begin(head.body(()).expect("valid")).await;
        let (hints, answer) = hinted(response).await;
        assert_eq!((hints.len(), answer.status.as_u16()), (0, 400));
    });
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn curl_sees_the_hints() {
    let Some(curl) = program("curl") else { return };
    let upstream = http1_pod();
    let (builder, authority) = verifiable(upstream.addr());
    let edge = builder.start();
    let port = edge.addr().port();
    let output = Command::new(curl)
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--http2"])
        .args(["--include", "--resolve", &format!("{HOST}:{port}:127.0.0.1")])
        .arg("--cacert")
        .arg(&authority)
        .arg(format!("https://{HOST}:{port}/x"))
        .output()
        .expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let heads: Vec<_> = text.lines().filter(|line| line.starts_with("HTTP/2 ")).collect();
    assert_eq!(heads, ["HTTP/2 103 ", "HTTP/2 103 ", "HTTP/2 200 "], "{text} {output:?}");
}
