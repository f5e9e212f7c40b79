//! curl, nghttp and h2load as clients.

use crate::client::Client;
use crate::program;
use crate::secured::{HOST, offering, secured, verifiable};
use crate::support::{Upstream, chunked, ingress, rule};
use serde_json::json;
use std::process::Command;

/// What a program says, which has to be content with the answers.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text} {output:?}");
    text
}

#[test]
fn curl_speaks_http_2_or_1_1_as_it_asks_by_alpn() {
    let Some(curl) = program("curl") else { return };
    let upstream = Upstream::saying("hello");
    let (builder, authority) = verifiable(upstream.addr());
    let edge = builder.start();
    let port = edge.addr().port();
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1"), ("--no-alpn", "1.1")] {
        let text = said(
            Command::new(&curl)
                .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", option])
                .args(["--write-out", " %{http_code} %{http_version}"])
                .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
                .arg("--cacert")
                .arg(&authority)
                .arg(format!("https://{HOST}:{port}/x")),
        );
        assert_eq!(text, format!("hello 200 {version}"), "{option}");
    }
    let mut versions: Vec<_> =
        edge.await_log(3).iter().map(|line| line["protocol"].to_string()).collect();
    versions.sort();
    assert_eq!(versions, ["\"HTTP/1.1\"", "\"HTTP/1.1\"", "\"HTTP/2.0\""]);
}

#[test]
fn curl_decodes_compressed_responses_over_http_2() {
    let Some(curl) = program("curl") else { return };
    let body: String = (0..20_000).map(|n| format!("{:9}\n", n * 7919)).collect();
    let sent = body.clone();
    let upstream = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            let pieces: Vec<&str> = (0..200).map(|n| &sent[n * 1000..(n + 1) * 1000]).collect();
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            conn.send(chunked(&pieces));
        }
    });
    let (builder, authority) = verifiable(upstream.addr());
    let middleware = json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": "smaller"}, "spec": {"compress": {}}});
    let mut everything = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    everything["spec"]["tls"] = json!([{"secretName": "own"}]);
    everything["metadata"]["annotations"] = json!({"ravelin.dev/middlewares": "smaller"});
    let edge =
        builder.object("ingress.json", &everything).object("smaller.json", &middleware).start();
    let port = edge.addr().port();
    for coding in ["br", "gzip"] {
        let text = said(
            Command::new(&curl)
                .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
                .args(["--http2", "--compressed", "--write-out", " %{http_version}"])
                .args(["--header", &format!("Accept-Encoding: {coding}")])
                .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
                .arg("--cacert")
                .arg(&authority)
                .arg(format!("https://{HOST}:{port}/x")),
        );
        assert!(text == format!("{body} 2"), "{coding}: {} bytes", text.len());
        edge.await_metric("ravelin_compressed_responses_total", &[("encoding", coding)], 1.0);
    }
    let out = edge.metrics().sum("ravelin_compressed_bytes_total", &[("direction", "out")]);
    assert!(out < 200_000.0, "{out}");
}

#[test]
fn nghttp_sends_a_body_and_gets_the_answer_over_http_2() {
    let Some(nghttp) = program("nghttp") else { return };
    let upstream = Upstream::saying("hello from behind");
    let edge = secured(upstream.addr()).start();
    let url = format!("https://localhost:{}/upload?q=1", edge.addr().port());
    let file = edge.manifests().with_file_name("body");
    std::fs::write(&file, vec![b'x'; 300_000]).expect("a folder of ours");
    let text = said(Command::new(nghttp).arg("--no-dep").arg("-d").arg(&file).arg(url));
    assert_eq!(text, "hello from behind");
    let request = upstream.only_request();
    assert_eq!((request.method(), request.target()), ("POST", "/upload?q=1"));
    assert_eq!((request.body.len(), request.whole), (300_000, true));
    assert_eq!(edge.await_log(1)[0]["protocol"], "HTTP/2.0");
}

#[test]
fn h2load_gets_every_answer_over_4_connections_of_50_streams() {
    let Some(h2load) = program("h2load") else { return };
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    let url = format!("https://localhost:{}/", edge.addr().port());
    let text = said(Command::new(h2load).args(["-n", "2000", "-c", "4", "-m", "50", &url]));
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    assert!(text.contains("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{text}");
    assert!(text.contains("Application protocol: h2"), "{text}");
    edge.await_metric("ravelin_requests_total", &[("status", "2xx")], 2000.0);
}

#[test]
fn a_client_without_alpn_gets_http_1_1() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    let config = offering(&[]);
    let mut client = Client::offer(edge.addr(), HOST, &config).expect("a handshake");
    assert_eq!(client.stream.conn.alpn_protocol(), None);
    assert_eq!(client.get(HOST).text(), "hello");
}
