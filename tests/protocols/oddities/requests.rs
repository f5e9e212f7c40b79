//! Odd requests of clients.

use super::pod::Pod;
use super::{BOTH, Spoken, between};
use crate::frames::{self, Frames, HEADERS};
use crate::multiplexed::{Connection, request, run, whole};
use crate::support::Edge;
use bytes::Bytes;

struct Case {
    what: &'static str,
    /// Fields of a request with the body `body`, as HTTP/1.1 has them.
    http1: Option<&'static str>,
    /// And as HTTP/2 has them.
    http2: Option<&'static [(&'static str, &'static str)]>,
    expected: Expected,
}

enum Expected {
    /// The pod gets these fields beside ours, and the body.
    Passes(&'static [&'static str]),
    /// It is refused with this status and reason.
    Refused(u16, &'static str),
}
use Expected::{Passes, Refused};

const CASES: &[Case] = &[
    Case {
        what: "a length that is there twice",
        http1: Some("Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody"),
        http2: Some(&[("content-length", "4"), ("content-length", "4")]),
        expected: Passes(&["content-length: 4"]),
    },
    Case {
        what: "a list of lengths",
        http1: Some("Content-Length: 4, 4\r\n\r\nbody"),
        http2: None,
        expected: Refused(400, "malformed_request"),
    },
    Case {
        what: "space around a value",
        http1: Some("Content-Length: 4\r\nX-Odd: \t a b\t \r\n\r\nbody"),
        http2: Some(&[("content-length", "4"), ("x-odd", "\t a b\t ")]),
        expected: Passes(&["content-length: 4", "x-odd: a b"]),
    },
    Case {
        what: "the proxy of a CGI program",
        http1: Some("Content-Length: 4\r\nProxy: http://evil\r\n\r\nbody"),
        http2: Some(&[("content-length", "4"), ("proxy", "http://evil")]),
        expected: Passes(&["content-length: 4"]),
    },
    Case {
        what: "several cookies",
        http1: Some("Content-Length: 4\r\nCookie: a=1\r\nCookie: b=2\r\n\r\nbody"),
        http2: Some(&[("content-length", "4"), ("cookie", "a=1"), ("cookie", "b=2")]),
        expected: Passes(&["content-length: 4", "cookie: a=1; b=2"]),
    },
    Case {
        what: "a coding beside chunked",
        http1: Some("Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"),
        http2: None,
        expected: Refused(501, "not_implemented"),
    },
    Case {
        what: "chunked twice",
        http1: Some(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        ),
        http2: None,
        expected: Refused(501, "not_implemented"),
    },
];

/// What a pod got beside the fields that every request has.
fn own(fields: &[String]) -> Vec<&str> {
    let is_ours = |field: &&str| {
        field.starts_with("host: ")
            || field.starts_with("x-forwarded-")
            || field.starts_with("x-real-ip: ")
    };
    fields.iter().map(String::as_str).filter(|field| !is_ours(field)).collect()
}

/// Status and text of the answer.
fn ask(client: Spoken, edge: &Edge, case: &Case) -> (u16, String) {
    match client {
        Spoken::Http1 => {
            let mut client = edge.connect();
            let rest = case.http1.expect("a case for HTTP/1.1");
            client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\n{rest}"));
            let answer = client.response();
            (answer.status(), answer.text().to_owned())
        }
        Spoken::Http2 => run(async {
            let mut head = request("POST", "/x");
            for (name, value) in case.http2.expect("a case for HTTP/2") {
                head = head.header(*name, *value);
            }
            let mut connection = Connection::open(edge.addr()).await;
            let (response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
            stream.send_data(Bytes::from_static(b"body"), true).expect("an open stream");
            let answer = whole(response.await.expect("an answer")).await;
            (answer.status.as_u16(), answer.text().to_owned())
        }),
    }
}

#[test]
fn an_odd_request_is_made_valid_for_the_pod_or_is_refused() {
    for (client, spoken) in BOTH.into_iter().flat_map(|client| BOTH.map(|pod| (client, pod))) {
        let pod = Pod::start(spoken);
        let edge = between(client, spoken, pod.addr());
        for case in CASES {
            let has_one = match client {
                Spoken::Http1 => case.http1.is_some(),
                Spoken::Http2 => case.http2.is_some(),
            };
            if !has_one {
                continue;
            }
            let what = format!("{}: client {client:?}, pod {spoken:?}", case.what);
            let (before, _) = pod.last();
            let (status, text) = ask(client, &edge, case);
            let (count, last) = pod.last();
            match case.expected {
                Passes(expected) => {
                    assert_eq!((status, count), (200, before + 1), "{what}: {text}");
                    assert_eq!((&*last.target, &*last.body), ("/x", &b"body"[..]), "{what}");
                    assert_eq!(own(&last.fields), expected, "{what}");
                }
                Refused(expected, reason) => {
                    assert_eq!((status, count), (expected, before), "{what}: {text}");
                    assert!(text.contains(reason), "{what}: {text}");
                }
            }
        }
    }
}

#[test]
fn trailers_of_a_request_that_cannot_be_sent_do_not_keep_it_from_its_end() {
    for spoken in BOTH {
        let pod = Pod::start(spoken);
        let edge = between(Spoken::Http1, spoken, pod.addr());
        let mut client = edge.connect();
        for (trailers, left) in [
            ("Keep-Alive: timeout=5\r\n", vec![]),
            ("Proxy-Connection: close\r\n", vec![]),
            ("TE: gzip\r\nHTTP2-Settings: AA\r\n", vec![]),
            ("Content-Length: 9\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\n", vec![]),
            ("Host: evil\r\nCF-Ray: 1\r\nX-Real-IP: 6.6.6.6\r\nX-Sum: 1\r\n", vec!["x-sum: 1"]),
        ] {
            client.send(format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTrailer: x-sum, keep-alive\r\n\
                 Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n{trailers}\r\n"
            ));
            assert_eq!(client.response().status(), 200, "{trailers:?} to {spoken:?}");
            let (_, last) = pod.last();
            assert_eq!(
                (&*last.body, last.trailers),
                (&b"body"[..], left.iter().map(|&s| s.to_owned()).collect())
            );
        }
    }
}

#[test]
fn what_passes_over_http_1_1_passes_over_http_2() {
    let pod = Pod::start(Spoken::Http1);
    let edge = between(Spoken::Http2, Spoken::Http1, pod.addr());
    let statuses = run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let mut statuses = Vec::new();
        for (cookies, others) in [(180, 0), (180, 99), (0, 100), (1, 100)] {
            let mut head = request("GET", "/");
            for number in 0..cookies {
                head = head.header("cookie", format!("c{number}=1"));
            }
            for number in 0..others {
                head = head.header(format!("x-{number}"), "1");
            }
            let answer = connection.ask(head.body(()).expect("valid")).await;
            statuses.push(answer.status.as_u16());
        }
        statuses
    });
    assert_eq!(statuses, [200, 200, 200, 431]);
    let (count, last) = pod.last();
    assert_eq!(count, 3);
    assert_eq!(last.fields.len(), 106);
}

#[test]
fn a_head_of_as_many_bytes_passes_in_either_protocol_and_one_more_in_neither() {
    const LIMIT: usize = 128 * 1024;
    let pod = Pod::start(Spoken::Http1);
    let head = |filler: usize| {
        let value = "x".repeat(filler);
        format!("GET / HTTP/1.1\r\nHost: a.example\r\nx-filler: {value}\r\n\r\n")
    };
    let filler = LIMIT - head(0).len();
    let plain = between(Spoken::Http1, Spoken::Http1, pod.addr());
    let secure = between(Spoken::Http2, Spoken::Http1, pod.addr());
    for (filler, status) in [(filler, 200), (filler + 1, 431)] {
        let mut client = plain.connect();
        client.send(head(filler));
        assert_eq!(client.response().status(), status, "HTTP/1.1");
        let answer = run(async {
            let head = request("GET", "/").header("x-filler", "x".repeat(filler));
            Connection::open(secure.addr()).await.ask(head.body(()).expect("valid")).await
        });
        assert_eq!(answer.status.as_u16(), status, "HTTP/2");
    }
}

#[test]
fn pseudo_header_fields_in_trailers_reach_no_pod() {
    let pod = Pod::start(Spoken::Http1);
    let edge = between(Spoken::Http2, Spoken::Http1, pod.addr());
    let (mut client, _) = Frames::open(edge.addr());
    client.send(&frames::post(1, "/", &[("trailer", "x-sum")]));
    client.send(&frames::frame(frames::DATA, 0, 1, b"body"));
    client.send(&frames::end_with(1, &[(":path", "/evil"), ("x-sum", "1")]));
    assert_eq!(client.next_of(HEADERS).stream, 1);
    let (_, last) = pod.last();
    assert_eq!((&*last.target, last.trailers), ("/", vec!["x-sum: 1".to_owned()]));
}

#[test]
fn max_forwards_and_schemes_are_obeyed() {
    let pod = Pod::start(Spoken::Http1);
    let edge = between(Spoken::Http1, Spoken::Http1, pod.addr());
    for (first, status, reason) in [
        ("OPTIONS / HTTP/1.1\r\nMax-Forwards: 0", 200, "max_forwards"),
        ("TRACE / HTTP/1.1\r\nMax-Forwards: 0", 501, "not_implemented"),
        ("GET https://a/ HTTP/1.1", 421, "misdirected_request"),
        ("GET ftp://a/ HTTP/1.1", 400, "bad_target"),
    ] {
        let mut client = edge.connect();
        client.send(format!("{first}\r\nHost: a\r\n\r\n"));
        let answer = client.response();
        assert_eq!(answer.status(), status, "{first}");
        assert!(answer.text().contains(reason), "{first}: {answer:?}");
    }
    assert_eq!(pod.last().0, 0);
    let mut client = edge.connect();
    client.send("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    assert!(pod.last().1.fields.contains(&"max-forwards: 2".to_owned()));
}

#[test]
fn a_connection_field_of_many_tokens_is_refused() {
    let pod = Pod::start(Spoken::Http1);
    let edge = between(Spoken::Http1, Spoken::Http1, pod.addr());
    let mut client = edge.connect();
    let tokens = vec!["a"; 60_000].join(",");
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {tokens}\r\n\r\n"));
    let answer = client.response();
    assert_eq!(answer.status(), 431);
    assert!(answer.text().contains("headers_too_large"), "{answer:?}");
    assert_eq!(pod.last().0, 0);
}
