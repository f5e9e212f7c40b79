//! Trailers between HTTP/2 and HTTP/1.1. tests/it has them between two of HTTP/1.1.

use crate::multiplexed::{Connection, get, request, run, whole};
use crate::secured::secured;
use crate::support::Upstream;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

#[test]
fn trailers_of_an_answer_reach_a_client_of_http_2_without_those_that_claim_something() {
    let upstream = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.send(
                "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\nbody\r\n0\r\nx-sum: 4\r\nx-real-ip: 192.0.2.1\r\n\r\n",
            );
        }
    });
    let edge = secured(upstream.addr()).start();
    let answer = run(async { Connection::open(edge.addr()).await.ask(get("/")).await });
    assert_eq!(answer.text(), "body");
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(trailers.get("x-sum"), Some(&HeaderValue::from_static("4")));
    assert_eq!(trailers.len(), 1, "{trailers:?}");
}

#[test]
fn trailers_of_a_request_of_http_2_reach_the_upstream_without_those_that_claim_something() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let head = request("POST", "/").header("trailer", "x-sum, x-real-ip");
        let (response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
        stream.send_data(Bytes::from_static(b"body"), false).expect("an open stream");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("4"));
        trailers.insert("x-real-ip", HeaderValue::from_static("192.0.2.1"));
        stream.send_trailers(trailers).expect("an open stream");
        assert_eq!(whole(response.await.expect("an answer")).await.text(), "hello");
    });
    let request = upstream.only_request();
    assert_eq!(request.text(), "body");
    assert_eq!(request.trailers, [("x-sum".to_owned(), "4".to_owned())]);
}
