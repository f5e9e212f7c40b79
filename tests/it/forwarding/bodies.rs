//! What is said passes as it was said, in whichever framing.

use crate::support::{Conn, Edge, Framing, Upstream, chunked, edge};

/// A backend that gives the same answer to everything.
fn always(answer: &'static str) -> Upstream {
    Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            conn.send(answer);
        }
    })
}

#[test]
fn methods_pass_with_their_bodies_and_nothing_is_added() {
    let upstream = Upstream::saying("done");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        client.ask(method, "a.example", "/x");
        assert_eq!(client.response().text(), "done", "{method}");
        client.send(format!(
            "{method} /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello"
        ));
        assert_eq!(client.response().text(), "done", "{method}");
    }
    for pair in upstream.requests().chunks(2) {
        let [bare, full] = pair else { panic!("two of each") };
        // RFC 9110 section 8.6: where content is usual, its absence is told.
        let none = match bare.method() {
            "POST" | "PUT" | "PATCH" => Framing::Length(0),
            _ => Framing::Bodyless,
        };
        assert_eq!((bare.method(), bare.framing), (full.method(), none));
        assert_eq!((full.framing, full.text()), (Framing::Length(5), "hello"));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn head_has_the_length_of_get_and_no_body() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            match request.method() {
                "HEAD" => assert!(conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4711\r\n\r\n")),
                _ => conn.answer("next"),
            }
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask("HEAD", "a.example", "/");
    assert_eq!(client.response_to_head().field("content-length"), Some("4711"));
    assert_eq!(client.get("a.example", "/").text(), "next");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn no_content_and_not_modified_have_no_body_and_keep_their_fields() {
    // A 304 may name the length that a 200 would have; it is not followed by so much.
    for answer in [
        "HTTP/1.1 204 No Content\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 9\r\n\r\n",
    ] {
        let upstream = always(answer);
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        for _ in 0..2 {
            let response = client.get("a.example", "/");
            assert_eq!(response.start, answer.lines().next().expect("one line"));
            assert_eq!(response.field("etag"), Some("\"a\""));
            assert_eq!(response.field("transfer-encoding"), None);
        }
        assert_eq!(upstream.connections(), 1);
    }
}

#[test]
fn refusals_of_the_pod_are_the_pods_own() {
    for (status, phrase) in
        [(400, "Bad Request"), (414, "URI Too Long"), (431, "Too Many"), (404, "Not Found")]
    {
        let upstream = Upstream::scripted(move |conn| {
            while conn.request().is_some() {
                conn.send(format!(
                    "HTTP/1.1 {status} {phrase}\r\nServer: mine\r\nContent-Length: 4\r\n\r\nmine"
                ));
            }
        });
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        for _ in 0..3 {
            let response = client.get("a.example", "/");
            assert_eq!((response.status(), response.text()), (status, "mine"), "{response:?}");
            assert_eq!(response.field("server"), Some("mine"));
        }
        assert!(edge.await_log(3).iter().all(|line| line["reason"].is_null()));
    }
}

#[test]
fn chunks_and_lengths_pass_in_both_directions() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            let framing = match request.framing {
                Framing::Length(_) => format!("Content-Length: {}\r\n\r\n", request.body.len()),
                _ => "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
            };
            let body = match request.framing {
                Framing::Length(_) => request.text().to_owned(),
                _ => chunked(&[&request.text()[..1], &request.text()[1..]]),
            };
            conn.send(format!("HTTP/1.1 200 OK\r\n{framing}{body}"));
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for _ in 0..2 {
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nby length");
        let response = client.response();
        assert_eq!((response.framing, response.text()), (Framing::Length(9), "by length"));
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(chunked(&["in", " chunks"]));
        let response = client.response();
        assert_eq!((response.framing, response.text()), (Framing::Chunked, "in chunks"));
    }
    let framings: Vec<_> = upstream.requests().iter().map(|request| request.framing).collect();
    let pair = [Framing::Length(9), Framing::Chunked];
    assert_eq!(framings, [pair, pair].concat());
}

#[test]
fn a_get_or_head_with_a_chunked_body_stays_one_request_with_that_body() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            assert_eq!((request.framing, request.text()), (Framing::Chunked, "GET /b HTTP/1.1"));
            conn.send("HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for method in ["GET", "HEAD", "GET"] {
        let body = chunked(&["GET /b HTTP/1.1"]);
        client.send(format!(
            "{method} /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        assert_eq!(client.response().status(), 204);
    }
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn an_empty_body_keeps_its_zero() {
    let upstream = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.answer("");
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().framing, Framing::Length(0));
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.response().framing, Framing::Length(0));
    let requests = upstream.requests();
    assert!(requests.iter().all(|request| request.body.is_empty() && request.whole));
    assert_eq!(requests[0].framing, Framing::Length(0), "{:?}", requests[0]);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for _ in 0..2 {
        let response = client.get("a.example", "/");
        // Its end is told to the client, whose connection lives on.
        assert_eq!((response.framing, response.text()), (Framing::Chunked, "until the end"));
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn continue_is_said_before_the_body_and_the_expectation_ends_here() {
    let upstream = Upstream::saying("taken");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.head().start, "HTTP/1.1 100 Continue");
    client.send("body");
    assert_eq!(client.response().text(), "taken");
    let request = upstream.only_request();
    assert_eq!((request.field("expect"), request.text()), (None, "body"));
    assert_eq!(client.get("a", "/").text(), "taken");
}

#[test]
fn a_refusal_comes_instead_of_continue() {
    let edge = edge().start();
    let mut client = edge.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.response().status(), 404);
}

#[test]
fn trailers_pass_in_both_directions_without_those_that_claim_something() {
    let upstream = Upstream::scripted(|conn: &mut Conn| {
        while conn.request().is_some() {
            conn.send(
                "HTTP/1.1 200 OK\r\nTrailer: x-sum, set-cookie, content-length\r\n\
                 Transfer-Encoding: chunked\r\n\r\n\
                 3\r\nabc\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a=b\r\nContent-Length: 1\r\n\r\n",
            );
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\
         Trailer: x-sum, x-forwarded-for, x_real_ip, host, authorization\r\n\r\n\
         2\r\nab\r\n0\r\nX-Sum: 5\r\nX-Forwarded-For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n\
         Host: evil\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.text(), "abc");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let request = upstream.only_request();
    assert_eq!(request.text(), "ab");
    assert_eq!(request.trailers, [("x-sum".to_owned(), "5".to_owned())]);
    assert_eq!(client.get("a", "/").text(), "abc");
}

#[test]
fn a_large_answer_passes_unchanged() {
    const SIZE: usize = 64 * 1024 * 1024;
    // Ends in no multiple of anything, and no piece of it is like another.
    let byte = |at: usize| (at.wrapping_mul(0x9e37_79b9) >> 13).to_le_bytes()[0];
    let upstream = Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            let body: Vec<u8> = (0..SIZE + 7).map(byte).collect();
            if request.target() == "/length" {
                conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", SIZE + 7));
                conn.send(&body);
            } else {
                conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for piece in body.chunks(100_003) {
                    conn.send(format!("{:x}\r\n", piece.len()));
                    conn.send(piece);
                    conn.send("\r\n");
                }
                conn.send("0\r\n\r\n");
            }
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for target in ["/length", "/chunked"] {
        client.ask("GET", "a", target);
        let mut head = client.head();
        let mut at = 0;
        let mut wrong = 0;
        let result = client.wire.body_into(&mut head, |bytes| {
            wrong += bytes.iter().zip(at..).filter(|&(&got, at)| got != byte(at)).count();
            at += bytes.len();
        });
        assert_eq!((result, at, wrong), (Ok(()), SIZE + 7, 0), "{target}");
    }
}
