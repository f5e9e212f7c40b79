//! Odd answers of pods.

use super::{BOTH, Spoken, between};
use crate::frames::{self, END_STREAM};
use crate::multiplexed::{Connection, request, run};
use crate::support::{Edge, Upstream, framed};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An answer in HTTP/2: head, body, trailers.
struct Framed {
    head: &'static [(&'static str, &'static str)],
    body: &'static str,
    trailers: &'static [(&'static str, &'static str)],
}

/// What a client gets: the status, the fields that are looked at, body and trailers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Got {
    status: u16,
    fields: Vec<String>,
    body: String,
    trailers: Vec<String>,
}

struct Case {
    what: &'static str,
    method: &'static str,
    http1: Option<&'static str>,
    http2: Option<Framed>,
    /// Of these the client's values are compared.
    fields: &'static [&'static str],
    expected: fn(client: Spoken, pod: Spoken) -> Got,
}

fn got(status: u16, fields: &[&str], body: &str) -> Got {
    let fields = fields.iter().map(|&field| field.to_owned()).collect();
    Got { status, fields, body: body.to_owned(), trailers: Vec::new() }
}

/// Our answer for a pod that is not understood; its text is not compared.
fn malformed() -> Got {
    got(502, &[], "upstream_malformed")
}

const CASES: &[Case] = &[
    Case {
        what: "a length that is there twice",
        method: "GET",
        http1: Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        http2: Some(Framed {
            head: &[(":status", "200"), ("content-length", "2"), ("content-length", "2")],
            body: "ok",
            trailers: &[],
        }),
        fields: &["content-length"],
        expected: |_, _| got(200, &["content-length: 2"], "ok"),
    },
    Case {
        what: "a list of lengths",
        method: "GET",
        http1: Some("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
        // h2 takes it for malformed, as RFC 9110 section 8.6 allows.
        http2: Some(Framed {
            head: &[(":status", "200"), ("content-length", "2, 2")],
            body: "ok",
            trailers: &[],
        }),
        fields: &["content-length"],
        expected: |_, pod| match pod {
            Spoken::Http1 => got(200, &["content-length: 2"], "ok"),
            Spoken::Http2 => malformed(),
        },
    },
    Case {
        what: "lengths that differ",
        method: "GET",
        http1: Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        http2: Some(Framed {
            head: &[(":status", "200"), ("content-length", "2"), ("content-length", "3")],
            body: "ok",
            trailers: &[],
        }),
        fields: &["content-length"],
        expected: |_, _| malformed(),
    },
    Case {
        what: "lengths that differ, in an answer to HEAD",
        method: "HEAD",
        http1: Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"),
        http2: None,
        fields: &[],
        expected: |_, _| got(502, &[], ""),
    },
    Case {
        what: "a length of an answer to HEAD",
        method: "HEAD",
        http1: Some("HTTP/1.1 200 OK\r\nContent-Length: 7, 7\r\n\r\n"),
        http2: Some(Framed {
            head: &[(":status", "200"), ("content-length", "7")],
            body: "",
            trailers: &[],
        }),
        fields: &["content-length"],
        expected: |_, _| got(200, &["content-length: 7"], ""),
    },
    Case {
        what: "a length of 204",
        method: "GET",
        http1: Some("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        http2: Some(Framed {
            head: &[(":status", "204"), ("content-length", "5")],
            body: "",
            trailers: &[],
        }),
        fields: &["content-length"],
        expected: |_, _| got(204, &[], ""),
    },
    Case {
        what: "a length of 304",
        method: "GET",
        http1: Some("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n"),
        http2: Some(Framed {
            head: &[(":status", "304"), ("content-length", "5"), ("etag", "\"x\"")],
            body: "",
            trailers: &[],
        }),
        fields: &["content-length", "etag"],
        // hyper leaves it out towards HTTP/1.1, which RFC 9110 section 15.4.5 allows.
        expected: |client, _| match client {
            Spoken::Http1 => got(304, &["etag: \"x\""], ""),
            Spoken::Http2 => got(304, &["content-length: 5", "etag: \"x\""], ""),
        },
    },
    Case {
        what: "a body of 204",
        method: "GET",
        http1: None,
        http2: Some(Framed { head: &[(":status", "204")], body: "body", trailers: &[] }),
        fields: &["content-length"],
        expected: |_, _| got(204, &[], ""),
    },
    Case {
        what: "trailers that are for a connection or claim something",
        method: "GET",
        http1: Some(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\n\
             Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTransfer-Encoding: chunked\r\n\
             Content-Length: 9\r\nHTTP2-Settings: AA\r\nHost: evil\r\nAuthorization: x\r\n\
             X-Forwarded-For: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Sum: 1\r\n\r\n",
        ),
        // With fields of a connection h2 takes the whole section for malformed.
        http2: Some(Framed {
            head: &[(":status", "200"), ("trailer", "x-sum")],
            body: "ok",
            trailers: &[
                ("content-length", "9"),
                ("http2-settings", "AA"),
                ("host", "evil"),
                ("authorization", "x"),
                ("x-forwarded-for", "6.6.6.6"),
                ("cf-connecting-ip", "6.6.6.6"),
                ("x-sum", " 1\t"),
            ],
        }),
        fields: &[],
        expected: |_, _| Got { trailers: vec!["x-sum: 1".to_owned()], ..got(200, &[], "ok") },
    },
    Case {
        what: "trailers of which nothing is left",
        method: "GET",
        http1: Some(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: keep-alive\r\n\r\n\
             2\r\nok\r\n0\r\nKeep-Alive: timeout=5\r\n\r\n",
        ),
        http2: Some(Framed {
            head: &[(":status", "200")],
            body: "ok",
            trailers: &[("x-real-ip", "6.6.6.6")],
        }),
        fields: &[],
        expected: |_, _| got(200, &[], "ok"),
    },
    Case {
        what: "pseudo-header fields of a request, and in trailers",
        method: "GET",
        http1: None,
        http2: Some(Framed {
            head: &[(":status", "200"), (":path", "/evil"), ("trailer", "x-sum")],
            body: "ok",
            trailers: &[(":status", "500"), ("x-sum", "1")],
        }),
        fields: &["path", ":path"],
        expected: |_, _| Got { trailers: vec!["x-sum: 1".to_owned()], ..got(200, &[], "ok") },
    },
    Case {
        what: "space around a value",
        method: "GET",
        http1: Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Odd: \t a b \t\r\n\r\nok"),
        http2: Some(Framed {
            head: &[(":status", "200"), ("x-odd", " \ta b \t")],
            body: "ok",
            trailers: &[],
        }),
        fields: &["x-odd"],
        expected: |_, _| got(200, &["x-odd: a b"], "ok"),
    },
    Case {
        what: "a coding that nobody asked for",
        method: "GET",
        http1: Some(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        http2: None,
        fields: &[],
        expected: |_, _| malformed(),
    },
    Case {
        what: "Connection names a field that every answer has",
        method: "GET",
        http1: Some(
            "HTTP/1.1 200 OK\r\nConnection: Server, content-length\r\nServer: own\r\n\
             Content-Length: 2\r\n\r\nok",
        ),
        http2: None,
        fields: &["server", "content-length"],
        expected: |_, _| got(200, &["content-length: 2", "server: ravelin"], "ok"),
    },
    Case {
        what: "a status without a phrase",
        method: "GET",
        http1: Some("HTTP/1.1 299 Custom\r\nContent-Length: 2\r\n\r\nok"),
        http2: Some(Framed { head: &[(":status", "299")], body: "ok", trailers: &[] }),
        fields: &["phrase"],
        expected: |client, pod| match (client, pod) {
            (Spoken::Http2, _) => got(299, &[], "ok"),
            (Spoken::Http1, Spoken::Http1) => got(299, &["phrase: Custom"], "ok"),
            (Spoken::Http1, Spoken::Http2) => got(299, &["phrase: "], "ok"),
        },
    },
];

/// A pod that answers by the case of the moment.
fn pod(spoken: Spoken, case: &Arc<AtomicUsize>) -> Upstream {
    let case = Arc::clone(case);
    let now = move || &CASES[case.load(Ordering::SeqCst)];
    Upstream::scripted(move |conn| match spoken {
        Spoken::Http1 => {
            while conn.request().is_some() {
                conn.send(now().http1.expect("a case for HTTP/1.1"));
            }
        }
        Spoken::Http2 => framed::serve(conn, |conn, stream, _| {
            let Framed { head, body, trailers } = now().http2.as_ref().expect("a case for HTTP/2");
            let is_short = body.is_empty() && trailers.is_empty();
            let mut bytes = frames::headers(if is_short { END_STREAM } else { 0 }, stream, head);
            if !body.is_empty() {
                bytes.extend(framed::part(stream, body.as_bytes()));
            }
            match (is_short, trailers.is_empty()) {
                (true, _) => {}
                (false, true) => bytes.extend(framed::end(stream)),
                (false, false) => bytes.extend(framed::trailers(stream, trailers)),
            }
            conn.send(bytes);
        }),
    })
}

/// What a client gets in the case.
fn ask(client: Spoken, edge: &Edge, case: &Case) -> Got {
    let mut got = match client {
        Spoken::Http1 => ask_http1(edge, case),
        Spoken::Http2 => ask_http2(edge, case),
    };
    got.fields.retain(|field| {
        case.fields.iter().any(|name| field.split_once(": ").is_some_and(|(n, _)| n == *name))
    });
    got.fields.sort();
    if let Some(reason) = got.body.lines().nth(1).and_then(|line| line.split(':').next()) {
        got.fields.clear();
        got.body = reason.to_owned();
    }
    got
}

fn ask_http1(edge: &Edge, case: &Case) -> Got {
    let mut client = edge.connect();
    client.send(format!("{} / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n", case.method));
    let answer = match case.method {
        "HEAD" => client.response_to_head(),
        _ => client.response(),
    };
    let text = |(name, value): &(String, String)| format!("{name}: {value}");
    let mut fields: Vec<_> = answer.fields.iter().map(text).collect();
    fields.push(format!("phrase: {}", &answer.start[13..]));
    Got {
        status: answer.status(),
        fields,
        body: answer.text().to_owned(),
        trailers: answer.trailers.iter().map(text).collect(),
    }
}

fn ask_http2(edge: &Edge, case: &Case) -> Got {
    let answer = run(async {
        let head = request(case.method, "/").header("te", "trailers");
        Connection::open(edge.addr()).await.ask(head.body(()).expect("valid")).await
    });
    let all = |fields: &http::HeaderMap| {
        let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
        fields.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect()
    };
    Got {
        status: answer.status.as_u16(),
        fields: all(&answer.fields),
        body: answer.text().to_owned(),
        trailers: answer.trailers.as_ref().map(all).unwrap_or_default(),
    }
}

#[test]
fn an_odd_answer_is_made_valid_for_the_client_or_is_a_502() {
    for (client, spoken) in BOTH.into_iter().flat_map(|client| BOTH.map(|pod| (client, pod))) {
        let number = Arc::new(AtomicUsize::new(0));
        let upstream = pod(spoken, &number);
        let edge = between(client, spoken, upstream.addr());
        for (position, case) in CASES.iter().enumerate() {
            let has_one = match spoken {
                Spoken::Http1 => case.http1.is_some(),
                Spoken::Http2 => case.http2.is_some(),
            };
            if has_one {
                number.store(position, Ordering::SeqCst);
                let expected = (case.expected)(client, spoken);
                let what = format!("{}: client {client:?}, pod {spoken:?}", case.what);
                assert_eq!(ask(client, &edge, case), expected, "{what}");
            }
        }
    }
}

#[test]
fn an_answer_has_up_to_256_fields_from_a_pod_of_either_protocol() {
    for (client, spoken) in BOTH.into_iter().flat_map(|client| BOTH.map(|pod| (client, pod))) {
        let count = Arc::new(AtomicUsize::new(0));
        let given = Arc::clone(&count);
        let upstream = Upstream::scripted(move |conn| match spoken {
            Spoken::Http1 => {
                while conn.request().is_some() {
                    let fields = "X: 1\r\n".repeat(given.load(Ordering::SeqCst) - 1);
                    conn.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"));
                }
            }
            Spoken::Http2 => framed::serve(conn, |conn, stream, _| {
                let mut head = vec![(":status", "200")];
                head.extend(vec![("x", "1"); given.load(Ordering::SeqCst)]);
                let [head, body] = [frames::headers(0, stream, &head), framed::part(stream, b"ok")];
                conn.send([head, body, framed::end(stream)].concat());
            }),
        });
        let edge = between(client, spoken, upstream.addr());
        for (fields, status) in [(100, 200), (101, 200), (256, 200), (257, 502)] {
            count.store(fields, Ordering::SeqCst);
            let case = &CASES[0];
            let got = ask(client, &edge, case);
            assert_eq!(got.status, status, "{fields}: client {client:?}, pod {spoken:?}");
        }
    }
}
