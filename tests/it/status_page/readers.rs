//! Who may read the status page, of those who may read metrics.

use super::ask;
use crate::support::{Client, Upstream, edge_to};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

#[test]
fn a_source_of_metrics_gets_403_for_the_page_and_the_json_and_the_socket_has_both() {
    let pod = Upstream::saying("ok");
    let sets = "[admit]\noffice = [\"192.0.2.0/24\"]";
    let builder = edge_to(&[pod.addr()]).tables(sets);
    let (builder, socket) = builder.set("admin", "admit_status", "[\"office\"]").probed();
    let edge = builder.start();
    let get = |path: &str, accept: &str| {
        let mut client = Client::connect(edge.admin());
        client.send(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n\r\n"));
        client.response().status()
    };
    for path in ["/metrics", "/readyz", "/livez", "/"] {
        assert_eq!(get(path, "*/*"), 200, "{path}");
    }
    for path in ["/", "/page", "/api/v1/failures", "/api/v1/status", "/api/v1/nothing"] {
        assert_eq!(get(path, "text/html"), 403, "{path}");
    }
    let (status, told) = ask(&edge, "failures");
    let error = told["error"].as_str().expect("an error");
    assert!(status == 403 && error.contains("admin.admit_status"), "{told}");
    assert!(error.contains("kubectl port-forward"), "{told}");

    let mut stream = UnixStream::connect(socket).expect("the socket of the process");
    let head = "GET /api/v1/failures HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert!(body["items"].is_array(), "{body}");
}
