//! Our own answers to calls: trailers and nothing else, in the codes of gRPC.

use super::client::{Client, text};
use super::server::Server;
use super::{endpoint, h2c, in_front_of, routed};
use crate::multiplexed::{Connection, request, run};
use crate::support::{Edge, Refusing, eventually};
use bytes::Bytes;
use serde_json::json;
use tonic::Code;

/// What is asked for, the code that it comes to, and the word in its message.
const REFUSED: [(&str, Code, &str); 5] = [
    ("/t.Elsewhere/Do", Code::Unimplemented, "no_route"),
    ("/t.Nobody/Do", Code::Unavailable, "no_endpoint"),
    ("/t.Missing/Do", Code::Unavailable, "service_missing"),
    ("/t.Refusing/Do", Code::Unavailable, "connect_failed"),
    ("/t.Calls/Never", Code::DeadlineExceeded, "upstream_timeout"),
];

fn edge(server: &Server, refusing: &Refusing) -> (Edge, String) {
    let (builder, authority) = in_front_of(server.addr());
    let paths = [
        ("/t.Calls", "Prefix", "web"),
        ("/t.Nobody", "Prefix", "nobody"),
        ("/t.Missing", "Prefix", "missing"),
        ("/t.Refusing", "Prefix", "refusing"),
    ];
    // Calls have no pages.
    let mut paged = routed(&paths);
    paged["metadata"]["annotations"] = json!({"ravelin.dev/error-pages": "pages"});
    let pages = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ns", "name": "pages"},
        "data": {"4xx": "page", "5xx": "page"},
    });
    let builder = builder
        .object("ingress.json", &paged)
        .object("pages.json", &pages)
        .object("nobody.json", &h2c("nobody"))
        .object("refusing.json", &h2c("refusing"))
        .object("refusing-0.json", &endpoint("refusing", refusing.addr()));
    (builder.timeout("response_head", "1s").start(), authority)
}

#[test]
fn a_client_understands_what_the_proxy_refuses() {
    let (server, refusing) = (Server::start(), Refusing::new());
    let (edge, authority) = edge(&server, &refusing);
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        for (path, code, word) in REFUSED {
            let error = client.unary(path, text("?")).await.expect_err("it is refused");
            assert_eq!(error.code(), code, "{path}: {error:?}");
            assert!(error.message().starts_with(&format!("{word}: ")), "{path}: {error:?}");
            let error = client.down(path, text("?")).await.map(drop);
            assert_eq!(error.expect_err("it is refused").code(), code, "{path}");
        }
        assert_eq!(client.ask("/t.Calls/Unary").await, Code::Ok);
    });
    for (_, _, word) in REFUSED {
        edge.await_metric("ravelin_requests_total", &[("reason", word)], 2.0);
    }
    eventually("what was too slow is cancelled", || (server.cancelled() == 2).then_some(()));
}

#[test]
fn a_refusal_is_one_head_with_the_status_in_it() {
    let (server, refusing) = (Server::start(), Refusing::new());
    let (edge, _) = edge(&server, &refusing);
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        for (path, code, _) in REFUSED {
            let head = request("POST", path).header("content-type", "application/grpc+proto");
            let (response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
            stream.send_data(Bytes::from_static(&[0; 5]), true).expect("an open stream");
            let response = response.await.expect("an answer");
            assert_eq!(response.status(), 200, "{path}");
            let number = i32::from(code).to_string();
            assert_eq!(response.headers()["grpc-status"], *number, "{path}");
            assert_eq!(response.headers()["content-type"], "application/grpc", "{path}");
            assert!(response.body().is_end_stream(), "{path}");
        }
    });
}
