//! Calls of every kind, and all that belongs to them.

use super::client::{Client, fed, next, text};
use super::server::Server;
use super::{VALIDITY, in_front_of};
use crate::certificates::{Authority, ECDSA};
use crate::multiplexed::run;
use crate::support::service;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use std::net::SocketAddr;
use tonic::metadata::MetadataValue;
use tonic::transport::{self, Identity, ServerTlsConfig};
use tonic::{Code, Request};

/// A call of each kind.
async fn call_each(addr: SocketAddr, authority: &str) {
    let client = Client::connect(addr, authority).await;
    let answer = client.unary("/t.Calls/Unary", text("hello")).await.expect("an answer");
    assert_eq!(answer.into_inner(), "hello");

    let mut messages = client.down("/t.Calls/Down", text("10 1000")).await.expect("a stream");
    for _ in 0..10 {
        assert_eq!(next(&mut messages).await.len(), 1000);
    }
    assert_eq!(messages.message().await.expect("no error"), None);

    let three = stream::iter(["one", "two", "three"].map(Bytes::from));
    assert_eq!(client.up("/t.Calls/Up", three).await.expect("an answer"), "3 11");

    let (sender, sent) = fed();
    sender.send(Bytes::from_static(b"first")).expect("a call");
    let mut back = client.both("/t.Calls/Both", Request::new(sent)).await.expect("a stream");
    assert_eq!(next(&mut back).await, "first");
    for number in 0..100 {
        let message = Bytes::from(format!("message {number}"));
        sender.send(message.clone()).expect("an open call");
        assert_eq!(next(&mut back).await, message);
    }
    drop(sender);
    assert_eq!(back.message().await.expect("no error"), None);
}

#[test]
fn calls_of_every_kind_pass_to_a_server_without_tls() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(call_each(edge.addr(), &authority));
    assert_eq!(server.connections(), 1);
    edge.await_metric("ravelin_requests_total", &[("reason", "")], 4.0);
}

#[test]
fn calls_of_every_kind_pass_to_a_server_with_tls_that_is_verified() {
    let pods = Authority::root("pods", &ECDSA);
    let issued = pods.issue(&["web.ns.svc"], &ECDSA, VALIDITY);
    let identity = Identity::from_pem(&issued.chain, &issued.key);
    let settings = transport::Server::builder();
    let settings = settings.tls_config(ServerTlsConfig::new().identity(identity));
    let server = Server::with(settings.expect("a certificate"));
    let mut web = service("web", "http", 80);
    web["metadata"]["annotations"] =
        json!({"ravelin.dev/upstream-protocol": "grpcs", "ravelin.dev/upstream-ca": "pods"});
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"namespace": "ns", "name": "pods"}, "stringData": {"ca.crt": pods.pem()}});
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.object("web.json", &web).object("pods.json", &secret).start();
    run(call_each(edge.addr(), &authority));
    assert_eq!(server.connections(), 1);
}

/// A request with metadata that is text, and some that is bytes.
fn with_metadata(message: &'static str) -> Request<Bytes> {
    let mut request = text(message);
    request.metadata_mut().insert("x-asked", MetadataValue::from_static("a b"));
    let bytes = MetadataValue::from_bytes(&[0, 0xfe, b'\n']);
    request.metadata_mut().insert_bin("x-asked-bin", bytes);
    request
}

#[test]
fn metadata_of_both_sides_and_trailers_arrive_as_they_are() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let answer = client.unary("/t.Calls/Unary", with_metadata("x")).await.expect("an answer");
        assert_eq!(answer.metadata().get("x-told").expect("it is told"), "a b");
        let bytes = answer.metadata().get_bin("x-told-bin").expect("it is told");
        assert_eq!(*bytes.to_bytes().expect("base64"), [0, 0xfe, b'\n']);
        let seen = server.metadata();
        assert_eq!(seen.get("te").expect("it is asked for"), "trailers");
        assert_eq!(seen.get("content-type").expect("a type"), "application/grpc");

        let mut messages = client.down("/t.Calls/Down", text("2 50")).await.expect("a stream");
        let trailers = messages.trailers().await.expect("no error").expect("trailers");
        assert_eq!(trailers.get("x-sum").expect("it is told"), "100");
        let bytes = trailers.get_bin("x-sum-bin").expect("it is told");
        assert_eq!(*bytes.to_bytes().expect("base64"), [7, 0, 0xff]);
    });
}

#[test]
fn an_error_of_the_server_arrives_with_its_code_message_details_and_metadata() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let error = client.unary("/t.Calls/Unary", with_metadata("fail")).await;
        let error = error.expect_err("it was asked for");
        assert_eq!(error.code(), Code::FailedPrecondition);
        assert_eq!(error.message(), "50 % für nichts\n");
        assert_eq!(error.details(), [0, 1, 0xff]);
        assert_eq!(error.metadata().get("x-told").expect("it is told"), "a b");
        let bytes = error.metadata().get_bin("x-told-bin").expect("it is told");
        assert_eq!(*bytes.to_bytes().expect("base64"), [0, 0xfe, b'\n']);
        assert_eq!(client.ask("/t.Calls/Unknown").await, Code::Unimplemented);
    });
    // The server's errors are none of ours.
    for line in edge.await_log(2) {
        assert_eq!((&line["status"], &line["reason"]), (&json!(200), &json!(null)), "{line}");
    }
}

#[test]
fn messages_of_four_mebibytes_pass_both_ways() {
    const SIZE: usize = 4 * 1024 * 1024 + 1;
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let bytes = (0..SIZE).map(|number| number.to_le_bytes()[1]).collect::<Vec<u8>>();
        let message = Bytes::from(bytes);
        let back = client.unary("/t.Calls/Unary", Request::new(message.clone())).await;
        assert!(back.expect("an answer").into_inner() == message, "it comes back as it was");
        let two = stream::iter([message.clone(), message]);
        let told = client.up("/t.Calls/Up", two).await.expect("an answer");
        assert_eq!(told, format!("2 {}", 2 * SIZE));
        let request = Request::new(Bytes::from(format!("2 {SIZE}")));
        let mut messages = client.down("/t.Calls/Down", request).await.expect("a stream");
        assert_eq!(next(&mut messages).await.len(), SIZE);
        assert_eq!(next(&mut messages).await.len(), SIZE);
    });
}
