//! What a cache in front needs: parts of a known length, pods that agree on ETags, and errors that are not stored.

use crate::support::{Builder, Edge, Framing, Message, Upstream, edge, edge_to, ingress, rule};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn ask(edge: &Edge, lines: &str) -> Message {
    let mut client = edge.connect();
    client.send(format!("GET /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    client.response()
}

/// A pod that answers with this part, in chunks.
fn chunking(content_range: &'static str, chunks: &'static str) -> Upstream {
    Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            conn.send(format!(
                "HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: {content_range}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{chunks}"
            ));
        }
    })
}

#[test]
fn a_part_that_its_pod_sends_in_chunks_has_a_length() {
    let pod = chunking("bytes 2-6/10", "2\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 1\r\n\r\n");
    let edge = Edge::to(&[pod.addr()]);
    let mut client = edge.connect();
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\n\r\n");
        let part = client.response();
        assert_eq!((part.status(), part.text(), part.framing), (206, "abcde", Framing::Length(5)));
        assert_eq!(part.field("content-range"), Some("bytes 2-6/10"));
    }
    assert_eq!(pod.connections(), 1, "the connection to the pod is used again");
}

#[test]
fn a_part_of_another_length_than_its_range_breaks_off() {
    // hyper may end the connection before it has sent the head.
    if crate::support::is_by_hyper() {
        return;
    }
    for chunks in
        ["2\r\nab\r\n0\r\n\r\n", "6\r\nabcdef\r\n0\r\n\r\n", "5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n"]
    {
        let pod = chunking("bytes 2-6/10", chunks);
        let edge = Edge::to(&[pod.addr()]);
        let mut client = edge.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\n\r\n");
        let part = client.broken_response();
        assert!(part.body.len() < 5, "{chunks:?}: {}", part.text());
        assert_eq!(edge.ended("upstream_truncated")["status"], 206);
    }
}

/// Two pods with these ETags, and further fields of their responses.
fn pods(tags: [&'static str; 2], fields: &'static str) -> [Upstream; 2] {
    tags.map(|tag| {
        Upstream::scripted(move |conn| {
            while conn.request().is_some() {
                conn.send(format!(
                    "HTTP/1.1 200 OK\r\nETag: {tag}\r\n{fields}Content-Length: 2\r\n\r\nok"
                ));
            }
        })
    })
}

/// A proxy before pods that take turns.
fn taking_turns(pods: &[SocketAddr]) -> Builder {
    let mut all = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    all["metadata"]["annotations"] = json!({"ravelin.dev/balance": "round-robin"});
    edge().service("web", pods).object("all.json", &all)
}

/// What was counted after so many requests with these lines, which both pods take turns for.
fn mismatches(pods: &[Upstream; 2], lines: &str, requests: usize) -> (Edge, f64) {
    let edge = taking_turns(&[pods[0].addr(), pods[1].addr()]).start();
    for _ in 0..requests {
        assert_eq!(ask(&edge, lines).status(), 200);
    }
    let labels = [("route", "ns/all")];
    let count = edge.metrics().sum("ravelin_etag_mismatches_total", &labels);
    (edge, count)
}

#[test]
fn pods_that_disagree_on_the_etag_of_a_path_are_counted() {
    let (_edge, count) = mismatches(&pods(["\"one\"", "\"two\""], ""), "", 12);
    assert!(count >= 3.0, "{count}");
    let (_edge, count) = mismatches(&pods(["\"one\"", "\"one\""], ""), "", 12);
    assert!(count < 0.5, "{count}");
}

#[test]
fn responses_that_depend_on_the_client_may_differ() {
    for (fields, lines) in [
        ("Cache-Control: private, max-age=1\r\n", ""),
        ("Cache-Control: no-store\r\n", ""),
        ("Vary: Accept-Encoding, Cookie\r\n", ""),
        ("Set-Cookie: id=1\r\n", ""),
        ("", "Cookie: id=1\r\n"),
        ("", "Authorization: Bearer x\r\n"),
    ] {
        let (_edge, count) = mismatches(&pods(["\"one\"", "\"two\""], fields), lines, 8);
        assert!(count < 0.5, "{fields}{lines}: {count}");
    }
}

/// The problem details of an answer.
fn problem(answer: &Message) -> Value {
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn errors_of_ours_are_problem_details_for_those_who_ask_for_json() {
    let edge = edge_to(&[]).start();
    let answer = ask(&edge, "Accept: application/json\r\n");
    let expected = json!({
        "type": "about:blank", "title": "Service Unavailable", "status": 503,
        "detail": "The Service has no ready endpoint.", "reason": "no_endpoint", "retry_after": 5,
    });
    assert_eq!((answer.status(), problem(&answer)), (503, expected));
    assert_eq!(answer.field("retry-after"), Some("5"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let text = ask(&edge, "Accept: text/html, */*;q=0.8\r\n");
    assert_eq!(text.field("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.text().contains("no_endpoint"), "{}", text.text());
    assert_eq!(text.field("retry-after"), Some("5"));
    // A target that is refused before a route is looked for.
    let mut client = edge.connect();
    client.send("GET /%00 HTTP/1.1\r\nHost: a\r\nAccept: application/problem+json\r\n\r\n");
    assert_eq!(problem(&client.response())["reason"], "bad_target");
    client.send("HEAD /a HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n");
    let head = client.response_to_head();
    let length = head.field("content-length").expect("one").parse::<usize>().expect("a number");
    assert_eq!((head.status(), length), (503, answer.body.len()));
}

#[test]
fn every_error_of_ours_forbids_to_store_it() {
    let edge = edge_to(&[]).start();
    for (request, status) in [
        ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 503),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
        ("GET /a HTTP/1.1\r\nHost: a\r\nno field\r\n\r\n", 400),
    ] {
        let mut client = edge.connect();
        client.send(request);
        let answer = client.response();
        assert_eq!(answer.status(), status, "{request}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{request}");
    }
}

#[test]
fn a_warning_names_pods_that_disagree_once() {
    let [one, two] = pods(["\"one\"", "\"two\""], "");
    let process = taking_turns(&[one.addr(), two.addr()]).spawn(1);
    let mut client = process.connect();
    for _ in 0..20 {
        client.send("GET /a?b=c HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(client.response().status(), 200);
    }
    let warning = process.await_message("pods have different ETags");
    assert_eq!(warning["level"], "WARN");
    assert_eq!([&warning["host"], &warning["path"]], ["a.example", "/a"]);
    let again = |line: &Value| line["message"].as_str().is_some_and(|it| it.contains("ETags"));
    assert!(!process.said().iter().any(again));
}
