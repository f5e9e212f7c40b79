//! The size of a body that HTTP/2 need not announce: counted, and refused on its stream alone.

use crate::multiplexed::{Connection, get, request, run, whole};
use crate::secured::secured;
use crate::support::{Upstream, ingress, rule};
use bytes::Bytes;
use serde_json::json;

#[test]
fn a_body_that_is_too_large_is_a_413_on_its_stream_and_the_others_go_on() {
    let upstream = Upstream::saying("through");
    let mut all = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    all["metadata"]["annotations"] = json!({"ravelin.dev/max-body-size": "10B"});
    all["spec"]["tls"] = json!([{"secretName": "own"}]);
    let edge = secured(upstream.addr()).object("ingress.json", &all).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        for announced in [false, true] {
            let mut head = request("POST", "/");
            if announced {
                head = head.header("content-length", "11");
            }
            let (response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
            // Its stream may be over already.
            let _ = stream.send_data(Bytes::from_static(b"123456"), false);
            let _ = stream.send_data(Bytes::from_static(b"78901"), false);
            let answer = whole(response.await.expect("an answer")).await;
            assert_eq!(answer.status, 413);
            assert!(answer.text().contains("body_too_large"), "{}", answer.text());
            assert_eq!(connection.ask(get("/")).await.text(), "through");
            assert_eq!(connection.post("/", "1234567890").await.text(), "through");
        }
    });
    edge.await_metric("ravelin_requests_total", &[("reason", "body_too_large")], 2.0);
}
