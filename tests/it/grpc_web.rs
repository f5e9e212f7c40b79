//! `grpcWeb`: who may call from a browser, and what of a request changes on the way to its pod.
//!
//! Calls to servers of gRPC are in tests/protocols/grpc/web.rs.

use crate::support::{Edge, Message, Stepped, Upstream};
use ravelin::model::middleware::Step;

fn edge(pod: &Upstream, origins: &[&str]) -> Edge {
    let step = Step::GrpcWeb(origins.iter().map(|origin| (*origin).into()).collect());
    Stepped::new(pod.addr()).route("", "/", vec![step]).start()
}

fn ask(edge: &Edge, start: &str, lines: &str) -> Message {
    let mut client = edge.connect();
    client.send(format!("{start} HTTP/1.1\r\nHost: h\r\n{lines}"));
    client.response()
}

const PREFLIGHT: &str = "Access-Control-Request-Method: POST\r\n\
                         Access-Control-Request-Headers: content-type, X-Grpc-Web\r\n";

fn vary(response: &Message) -> Vec<&str> {
    let all = response.fields.iter().filter(|(name, _)| name == "vary");
    all.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_preflight_for_a_call_is_answered_and_any_other_passes() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, &["https://a.example"]);
    let lines = format!("Origin: https://a.example\r\n{PREFLIGHT}\r\n");
    let response = ask(&edge, "OPTIONS /a.B/C", &lines);
    assert_eq!((response.status(), response.text()), (200, ""));
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type, X-Grpc-Web"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(response.field(name), Some(value), "{name}");
    }
    let varies = ["origin", "access-control-request-method", "access-control-request-headers"];
    assert_eq!(vary(&response), varies);
    let lines = format!("Origin: https://b.example\r\n{PREFLIGHT}\r\n");
    let response = ask(&edge, "OPTIONS /a.B/C", &lines);
    assert_eq!((response.status(), vary(&response).len()), (200, 3));
    assert_eq!(response.field("access-control-allow-origin"), None);
    assert_eq!(pod.requests().len(), 0);
    let lines = "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\
                 Access-Control-Request-Headers: x-grpc-webs\r\n\r\n";
    assert_eq!(ask(&edge, "OPTIONS /a.B/C", lines).text(), "pod");
}

#[test]
fn a_call_becomes_one_of_grpc_and_other_requests_stay_as_they_are() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, &["*"]);
    let call = |kind: &str, body: &str| {
        let lines = format!(
            "Content-Type: {kind}\r\nOrigin: https://z.example\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        ask(&edge, "POST /a.B/C", &lines)
    };
    for (kind, body, sent, got) in [
        ("application/grpc-web", "12345", "application/grpc", "12345"),
        ("application/grpc-web+proto", "12345", "application/grpc+proto", "12345"),
        ("application/grpc-web-text", "aGVsbG8=d29ybGQ=", "application/grpc", "helloworld"),
        ("application/grpc-web-text+json", "", "application/grpc+json", ""),
        ("application/grpc-webs", "12345", "application/grpc-webs", "12345"),
        ("application/json", "{}", "application/json", "{}"),
    ] {
        let response = call(kind, body);
        assert_eq!((response.status(), response.text()), (200, "pod"), "{kind}");
        let request = pod.requests().pop().expect("it has come");
        assert_eq!(request.field("content-type"), Some(sent));
        assert_eq!(request.text(), got, "{kind}");
        let is_call = sent != kind;
        let origin = is_call.then_some("https://z.example");
        assert_eq!(response.field("access-control-allow-origin"), origin, "{kind}");
    }
    let lines = "Content-Type: application/grpc-web\r\n\r\n";
    assert_eq!(ask(&edge, "GET /", lines).status(), 200);
    let request = pod.requests().pop().expect("it has come");
    assert_eq!(request.field("content-type"), Some("application/grpc-web"), "not a POST");
}

#[test]
fn a_text_beyond_the_bound_is_refused() {
    let pod = Upstream::saying("pod");
    let edge = edge(&pod, &["*"]);
    let lines = "Content-Type: application/grpc-web-text\r\nContent-Length: 6000000\r\n\r\n";
    let response = ask(&edge, "POST /a.B/C", lines);
    assert_eq!(response.status(), 413);
    assert!(response.text().contains("body_too_large"), "{}", response.text());
    assert_eq!(pod.requests().len(), 0);
}
