//! Calls of gRPC-Web by curl, over both versions of HTTP, to a server of gRPC.

use super::in_front_of;
use super::server::Server;
use crate::program;
use crate::secured::HOST;
use crate::support::{Edge, ingress, rule};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

fn served(server: &Server) -> (Edge, std::path::PathBuf) {
    let (builder, authority) = in_front_of(server.addr());
    let file = builder.manifests().with_file_name("authority.pem");
    std::fs::write(&file, authority).expect("a folder of ours");
    let middleware = json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": "web"},
        "spec": {"grpcWeb": {"allowOrigins": ["https://app.example"]}}});
    let mut routed = ingress("all", &[rule("", &[("/t.Calls", "Prefix", "web")])]);
    routed["spec"]["tls"] = json!([{"secretName": "own"}]);
    routed["metadata"]["annotations"] = json!({"ravelin.dev/middlewares": "web"});
    let builder = builder.object("middleware.json", &middleware).object("ingress.json", &routed);
    (builder.start(), file)
}

fn frame(kind: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[kind][..], &length.to_be_bytes(), message].concat()
}

/// Head and body of the response to a call.
fn call(
    edge: &Edge,
    authority: &Path,
    words: &[&str],
    method: &str,
    body: &[u8],
) -> Option<(String, Vec<u8>)> {
    let curl = program("curl")?;
    let port = edge.addr().port();
    let file = edge.manifests().with_file_name("body");
    std::fs::write(&file, body).expect("a folder of ours");
    let output = Command::new(curl)
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--include"])
        .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1"), "-H", "X-Grpc-Web: 1"])
        .args(["-H", "Origin: https://app.example"])
        .args(words)
        .arg("--cacert")
        .arg(authority)
        .arg("--data-binary")
        .arg(format!("@{}", file.display()))
        .arg(format!("https://{HOST}:{port}/t.Calls/{method}"))
        .output()
        .expect("it can be run");
    assert!(output.status.success(), "{output:?}");
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&output.stdout[..end]).to_ascii_lowercase();
    Some((head, output.stdout[end + 4..].to_vec()))
}

/// The frames of a body: the first byte of each, and the rest.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize;
        let (message, behind) = rest.split_at(length);
        all.push((head[0], message.to_vec()));
        body = behind;
    }
    assert!(body.is_empty(), "{body:?}");
    all
}

/// What parts in base64 stand for, each with its padding.
fn decoded(text: &[u8]) -> Vec<u8> {
    let groups = text.chunks(4).map(|four| STANDARD.decode(four).expect("base64"));
    groups.flatten().collect()
}

const VERSIONS: [&str; 2] = ["--http1.1", "--http2"];

#[test]
fn a_call_in_the_binary_form_gets_its_message_and_the_trailers_as_a_frame() {
    let server = Server::start();
    let (edge, authority) = served(&server);
    for version in VERSIONS {
        let words = [version, "-H", "Content-Type: application/grpc-web+proto"];
        let body = frame(0, b"hello");
        let Some((head, body)) = call(&edge, &authority, &words, "Unary", &body) else { return };
        assert!(head.contains("\r\ncontent-type: application/grpc-web"), "{head}");
        let frames = frames(&body);
        assert_eq!(frames[0], (0, b"hello".to_vec()));
        let (kind, trailers) = &frames[1];
        let trailers = String::from_utf8_lossy(trailers);
        assert_eq!((*kind, frames.len()), (0x80, 2));
        assert!(trailers.contains("grpc-status: 0\r\n"), "{trailers}");
        assert!(head.contains("\r\naccess-control-allow-origin: https://app.example"), "{head}");
        assert!(head.contains("\r\naccess-control-allow-credentials: true"), "{head}");
        assert!(head.contains("grpc-message, grpc-status"), "{head}");
    }
}

#[test]
fn a_stream_in_the_text_form_comes_in_base64() {
    let server = Server::start();
    let (edge, authority) = served(&server);
    for version in VERSIONS {
        let words = [version, "-H", "Content-Type: application/grpc-web-text"];
        let body = STANDARD.encode(frame(0, b"10 1000"));
        let called = call(&edge, &authority, &words, "Down", body.as_bytes());
        let Some((head, body)) = called else { return };
        assert!(head.contains("\r\ncontent-type: application/grpc-web-text"), "{head}");
        let frames = frames(&decoded(&body));
        assert_eq!(frames.len(), 11);
        assert!(frames[..10].iter().all(|(kind, message)| (*kind, message.len()) == (0, 1000)));
        assert_eq!(frames[10].0, 0x80);
    }
}

#[test]
fn an_error_without_messages_is_in_the_fields_that_a_browser_may_read() {
    let server = Server::start();
    let (edge, authority) = served(&server);
    let words = ["--http2", "-H", "Content-Type: application/grpc-web"];
    // The server answers before it has read a message. curl 7.88 that is about to send one takes the reset without an
    // error that follows (RFC 9113 section 8.1) for a failure: some of the time, so there is none.
    let Some((head, body)) = call(&edge, &authority, &words, "Nothing", b"") else { return };
    assert!(head.contains("\r\ngrpc-status: 12"), "{head}");
    assert!(body.is_empty(), "{body:?}");
}

#[test]
fn a_text_that_is_no_base64_reaches_nobody() {
    let server = Server::start();
    let (edge, authority) = served(&server);
    let words = ["--http2", "-H", "Content-Type: application/grpc-web-text"];
    let Some((head, body)) = call(&edge, &authority, &words, "Unary", b"AAAA!") else { return };
    assert!(head.starts_with("http/2 400"), "{head}");
    assert!(head.contains("\r\naccess-control-allow-origin: https://app.example"), "{head}");
    assert!(String::from_utf8_lossy(&body).contains("malformed_body"));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_message_is_with_the_client_before_the_next_one_is_sent() {
    let server = Server::start();
    let (edge, authority) = served(&server);
    let Some(curl) = program("curl") else { return };
    let port = edge.addr().port();
    let file = edge.manifests().with_file_name("body");
    std::fs::write(&file, STANDARD.encode(frame(0, b""))).expect("a folder of ours");
    let mut child = Command::new(curl)
        .args(["--silent", "--no-buffer", "--noproxy", "*", "--max-time", "20", "--http2"])
        .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
        .args(["-H", "Content-Type: application/grpc-web-text", "--cacert"])
        .arg(&authority)
        .arg("--data-binary")
        .arg(format!("@{}", file.display()))
        .arg(format!("https://{HOST}:{port}/t.Calls/ListenerHandle"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut output = child.stdout.take().expect("piped");
    let first = frame(0, b"begun");
    let mut text = vec![0; first.len().div_ceil(3) * 4];
    output.read_exact(&mut text).expect("the first message");
    assert_eq!(decoded(&text), first);
    server.go();
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).expect("the rest");
    assert_eq!(frames(&decoded(&rest))[0], (0, b"ended".to_vec()));
    assert!(child.wait().expect("our child").success());
}
