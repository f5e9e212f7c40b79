//! Compressed responses, as clients with decoders of their own read them.

use crate::support::{
    Edge, Fault, Framing, Gate, Message, Stepped, Upstream, chunked, eventually, program,
};
use flate2::read::GzDecoder;
use ravelin::model::middleware::{Compress, Step};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

fn compress() -> Step {
    Step::Compress(Box::new(Compress {
        min_bytes: 1024,
        default: None,
        encodings: vec!["br", "gzip"],
        excluded: Vec::new(),
        included: Vec::new(),
    }))
}

fn start(pod: &Upstream) -> Edge {
    Stepped::new(pod.addr()).route("", "/", vec![compress()]).start()
}

/// Text with this length that compresses.
fn text(bytes: usize) -> String {
    let mut text: String = (0..=bytes / 10).map(|n| format!("{:9}\n", n * 7919)).collect();
    text.truncate(bytes);
    text
}

/// A pod that answers every request with these fields and this body.
fn telling(fields: &'static str, body: String) -> Upstream {
    Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            let length = body.len();
            conn.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {length}\r\n\r\n{body}"));
        }
    })
}

fn ask(edge: &Edge, lines: &str) -> Message {
    let mut client = edge.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    client.response()
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip of UTF-8");
    text
}

#[test]
fn a_response_comes_in_the_coding_that_its_client_prefers_and_is_smaller() {
    let pod = telling("Content-Type: text/html\r\nAccept-Ranges: bytes\r\n", text(300_000));
    let edge = start(&pod);
    let response = ask(&edge, "Accept-Encoding: br;q=0.5, gzip\r\n");
    assert_eq!(response.field("content-encoding"), Some("gzip"));
    assert_eq!(response.field("vary"), Some("Accept-Encoding"));
    assert_eq!(response.field("accept-ranges"), None);
    assert_eq!(response.framing, Framing::Chunked);
    assert!(response.body.len() < 150_000, "{}", response.body.len());
    assert!(gunzip(&response.body) == text(300_000));
    let plain = ask(&edge, "");
    assert_eq!(plain.field("content-encoding"), None);
    assert_eq!(plain.field("vary"), Some("Accept-Encoding"));
    assert_eq!((plain.framing, plain.text().len()), (Framing::Length(300_000), 300_000));
    edge.await_metric("ravelin_compressed_responses_total", &[("encoding", "gzip")], 1.0);
    edge.await_metric("ravelin_compressed_bytes_total", &[("direction", "in")], 300_000.0);
    let out = edge.metrics().sum("ravelin_compressed_bytes_total", &[("direction", "out")]);
    assert!((out - response.body.len() as f64).abs() < f64::EPSILON, "{out}");
    edge.await_metric("ravelin_memory_held_bytes", &[("kind", "compressors")], 0.0);
    assert_eq!(pod.connections(), 1, "the connection to the pod is used again");
}

#[test]
fn curl_decodes_both_codings() {
    let Some(curl) = program("curl") else { return };
    let pod = telling("Content-Type: application/json\r\n", text(200_000));
    let edge = start(&pod);
    for coding in ["br", "gzip"] {
        let output = Command::new(&curl)
            .args([
                "--silent",
                "--show-error",
                "--compressed",
                "--max-time",
                "20",
                "--noproxy",
                "*",
            ])
            .args(["--header", &format!("Accept-Encoding: {coding}")])
            .arg(format!("http://{}/", edge.addr()))
            .output()
            .expect("it can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == text(200_000).as_bytes(), "{coding}: {}", output.stdout.len());
    }
    edge.await_metric("ravelin_compressed_responses_total", &[("encoding", "br")], 1.0);
}

#[test]
fn node_decodes_what_a_pod_sends_in_small_pieces() {
    let Some(node) = program("node") else { return };
    let pod = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            let whole = text(100_000);
            let pieces: Vec<&str> = (0..100).map(|n| &whole[n * 1000..(n + 1) * 1000]).collect();
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            conn.send(chunked(&pieces));
        }
    });
    let edge = start(&pod);
    let response = ask(&edge, "Accept-Encoding: br\r\n");
    assert_eq!(response.field("content-encoding"), Some("br"));
    let script = "const z = require('zlib'); const c = [];\
                  process.stdin.on('data', d => c.push(d)).on('end', () => \
                  process.stdout.write(z.brotliDecompressSync(Buffer.concat(c))));";
    let mut child = Command::new(node)
        .args(["-e", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    child.stdin.take().expect("piped").write_all(&response.body).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.stdout == text(100_000).as_bytes(), "{}", output.stdout.len());
}

#[test]
fn what_has_come_is_sent_when_the_pod_pauses() {
    let gate = Gate::default();
    let waits = gate.clone();
    let pod = Upstream::scripted(move |conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n");
        conn.send("Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nfirst\r\n");
        waits.wait();
        conn.send("6\r\nsecond\r\n0\r\nX-Sum: 11\r\n\r\n");
        conn.closes();
    });
    let edge = start(&pod);
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nTE: trailers\r\n\r\n");
    let mut response = client.head();
    assert_eq!(response.field("content-encoding"), Some("gzip"));
    let mut came = Vec::new();
    let mut first = [0; 5];
    while GzDecoder::new(&*came).read_exact(&mut first).is_err() {
        came.extend(client.wire.chunk().expect("before the pod goes on"));
    }
    assert_eq!(&first, b"first");
    let held = edge.metrics().sum("ravelin_memory_held_bytes", &[("kind", "compressors")]);
    assert!(held > 300_000.0, "{held}");
    gate.open();
    client.wire.body(&mut response).expect("a proper end");
    came.extend(&response.body);
    assert_eq!(gunzip(&came), "firstsecond");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "11".to_owned())]);
}

#[test]
fn a_response_that_breaks_off_breaks_off_for_the_client_too() {
    let pod = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nthe beginning");
    });
    let edge = start(&pod);
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let mut response = client.head();
    assert_eq!(client.wire.body(&mut response), Err(Fault::Closed));
    eventually("the reason", || {
        let labels = [("reason", "upstream_truncated")];
        (edge.metrics().sum("ravelin_requests_total", &labels) > 0.0).then_some(())
    });
}

#[test]
fn clients_revalidate_what_they_have_compressed() {
    let pod = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            match request.field("if-none-match") {
                Some("W/\"v1\"") => conn.send("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n"),
                _ => conn.send(format!(
                    "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 2000\r\n\r\n{}",
                    text(2000)
                )),
            };
        }
    });
    let edge = start(&pod);
    let accept = "Accept-Encoding: gzip\r\n";
    assert_eq!(ask(&edge, accept).field("etag"), Some("W/\"v1\""));
    assert_eq!(ask(&edge, "").field("etag"), Some("\"v1\""));
    let again = ask(&edge, &format!("{accept}If-None-Match: W/\"v1\"\r\n"));
    assert_eq!((again.status(), again.field("etag")), (304, Some("W/\"v1\"")));
    assert_eq!(again.field("vary"), Some("Accept-Encoding"));
}

#[test]
fn parts_and_answers_to_ranges_stay_as_the_pod_sent_them() {
    let pod = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            let body = text(2000);
            let is_part = request.field("range").is_some_and(|range| range == "bytes=0-1999");
            conn.send("HTTP/1.1 ");
            conn.send(if is_part { "206 Partial Content" } else { "200 OK" });
            conn.send("\r\nETag: \"v1\"\r\n");
            if is_part {
                conn.send("Content-Range: bytes 0-1999/4000\r\n");
            }
            conn.send("Content-Length: 2000\r\n\r\n");
            if request.method() != "HEAD" {
                conn.send(body);
            }
        }
    });
    let edge = start(&pod);
    let part = ask(&edge, "Accept-Encoding: gzip\r\nRange: bytes=0-1999\r\n");
    assert_eq!((part.status(), part.text()), (206, &*text(2000)));
    assert_eq!(part.framing, Framing::Length(2000));
    assert_eq!(part.field("etag"), Some("\"v1\""));
    // Whatever becomes of the range: the next one may be a part.
    let whole = ask(&edge, "Accept-Encoding: gzip\r\nRange: bytes=9000-\r\n");
    assert_eq!((whole.status(), whole.text()), (200, &*text(2000)));
    assert_eq!(
        (whole.field("etag"), whole.field("vary")),
        (Some("\"v1\""), Some("Accept-Encoding"))
    );
}

#[test]
fn a_head_has_the_fields_of_the_compressed_response() {
    let pod = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            conn.send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n");
            conn.send("Content-Length: 2000\r\n\r\n");
            if request.method() != "HEAD" {
                conn.send(text(2000));
            }
        }
    });
    let edge = start(&pod);
    let head = |lines: &str| {
        let mut client = edge.connect();
        client.send(format!("HEAD / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        client.response_to_head()
    };
    let names = ["content-encoding", "etag", "vary", "accept-ranges", "content-length"];
    for (lines, length) in [("Accept-Encoding: gzip\r\n", None), ("", Some("2000"))] {
        let (head, get) = (head(lines), ask(&edge, lines));
        assert_eq!(
            names[..4].iter().map(|n| head.field(n)).collect::<Vec<_>>(),
            names[..4].iter().map(|n| get.field(n)).collect::<Vec<_>>()
        );
        assert_eq!(head.field("content-length"), length);
    }
    edge.await_metric("ravelin_memory_held_bytes", &[("kind", "compressors")], 0.0);
}

#[test]
fn a_request_that_forbids_to_transform_gets_the_bytes_of_the_pod() {
    let pod = telling("Content-Type: text/html\r\n", text(5000));
    let edge = start(&pod);
    let fixed = ask(&edge, "Accept-Encoding: gzip\r\nCache-Control: No-Transform\r\n");
    assert_eq!((fixed.field("content-encoding"), fixed.body.len()), (None, 5000));
    assert_eq!(ask(&edge, "Accept-Encoding: gzip\r\n").field("content-encoding"), Some("gzip"));
}

#[test]
fn without_memory_for_a_compressor_a_smaller_one_or_none_is_used() {
    let pod = telling("", text(2000));
    // A connection may hold 1.5 MiB of it: brotli is charged more.
    let edge = crate::support::edge().set("limits", "memory", "\"16MiB\"");
    let edge = Stepped::on(edge, pod.addr()).route("", "/", vec![compress()]).start();
    let response = ask(&edge, "Accept-Encoding: gzip, br\r\n");
    assert_eq!(response.field("content-encoding"), Some("gzip"));
    let response = ask(&edge, "Accept-Encoding: br\r\n");
    assert_eq!((response.field("content-encoding"), response.body.len()), (None, 2000));
    edge.await_metric("ravelin_compress_refused_total", &[], 1.0);
}
