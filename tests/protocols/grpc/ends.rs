//! How calls end: by deadlines, by either side giving up, by a server or a proxy that leaves.
use crate::until::until;

use super::client::{Client, fed, next, text};
use super::server::Server;
use super::{h2c, in_front_of};
use crate::multiplexed::{Connection, request, run};
use crate::secured::secured;
use crate::support::{Edge, Upstream, framed};
use bytes::Bytes;
use serde_json::json;
use std::thread;
use std::time::Duration;
use tonic::transport;
use tonic::{Code, Request};

/// Long enough for a call to reach the server on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(2);

#[test]
fn the_deadline_of_a_call_reaches_the_server_and_what_it_says_of_it_the_client() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let mut request = text("?");
        request.set_timeout(DEADLINE);
        let asked = request.metadata().get("grpc-timeout").expect("it was set").clone();
        let mut messages = client.down("/t.Calls/ListenerHandle", request).await.expect("a stream");
        assert_eq!(next(&mut messages).await, "begun");
        assert_eq!(server.metadata().get("grpc-timeout"), Some(&asked));
        let error = messages.message().await.expect_err("the deadline passes");
        assert_eq!((error.code(), error.message()), (Code::DeadlineExceeded, "as you asked"));
    });
}

#[test]
fn a_deadline_that_only_the_client_knows_cancels_the_call_at_the_server() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let hurried = |endpoint: transport::Endpoint| endpoint.timeout(DEADLINE);
        let client = Client::with(edge.addr(), &authority, hurried).await;
        // tonic's word for its own deadline.
        assert_eq!(client.ask("/t.Calls/Never").await, Code::Cancelled);
        assert_eq!(server.metadata().get("grpc-timeout"), None);
        until("the call is cancelled", || server.cancelled() == 1).await;
        assert_eq!(client.ask("/t.Calls/Unary").await, Code::Ok);
    });
    edge.await_metric("ravelin_requests_total", &[("reason", "client_gone")], 1.0);
    assert_eq!(server.connections(), 1);
}

#[test]
fn calls_that_a_client_drops_are_cancelled_at_the_server_and_no_other_is() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let mut kept = client.down("/t.Calls/ListenerHandle", text("?")).await.expect("a stream");
        assert_eq!(next(&mut kept).await, "begun");
        let mut dropped =
            client.down("/t.Calls/ListenerHandle", text("?")).await.expect("a stream");
        assert_eq!(next(&mut dropped).await, "begun");
        drop(dropped);
        until("it is cancelled", || server.cancelled() == 1).await;
        let (sender, sent) = fed();
        sender.send(Bytes::from_static(b"one")).expect("a call");
        let mut request = Request::new(sent);
        // Dropped alone, its messages would go on: tonic sends no reset before both sides are gone.
        let cancel = request.cancellation_handle();
        let mut both = client.both("/t.Calls/Both", request).await.expect("a stream");
        assert_eq!(next(&mut both).await, "one");
        cancel.cancel();
        drop(both);
        until("it is cancelled as well", || server.cancelled() == 2).await;
        server.go();
        assert_eq!(next(&mut kept).await, "ended");
        assert_eq!(kept.message().await.expect("no error"), None);
    });
    assert_eq!((server.cancelled(), server.connections()), (2, 1));
}

#[test]
fn a_client_that_vanishes_has_its_calls_cancelled_at_the_server() {
    let server = Server::start();
    let (builder, _) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let head = request("POST", "/t.Calls/Never").header("content-type", "application/grpc");
        let (_response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
        stream.send_data(Bytes::from_static(&[0; 5]), true).expect("an open stream");
        until("the call is there", || server.begun() == 1).await;
        connection.vanish();
        until("it is cancelled", || server.cancelled() == 1).await;
    });
}

#[test]
fn a_stream_goes_on_when_the_server_sends_goaway_and_the_next_calls_get_a_new_connection() {
    let settings = transport::Server::builder().max_connection_age(Duration::from_millis(200));
    let server = Server::with(settings);
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let mut held = client.down("/t.Calls/ListenerHandle", text("?")).await.expect("a stream");
        assert_eq!(next(&mut held).await, "begun");
        while server.connections() < 3 {
            assert_eq!(client.ask("/t.Calls/Unary").await, Code::Ok);
        }
        server.go();
        assert_eq!(next(&mut held).await, "ended");
        assert_eq!(held.message().await.expect("no error"), None);
    });
    assert_eq!(server.cancelled(), 0);
}

#[test]
fn a_running_stream_is_finished_by_a_proxy_that_leaves() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.timeout("drain", "20s").timeout("drain_idle", "20ms").start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let (sender, sent) = fed();
        sender.send(Bytes::from_static(b"before")).expect("a call");
        let mut both = client.both("/t.Calls/Both", Request::new(sent)).await.expect("a stream");
        assert_eq!(next(&mut both).await, "before");
        let addr = edge.addr();
        let leaving = thread::spawn(move || drop(edge));
        // It has stopped listening.
        until("it leaves", || std::net::TcpStream::connect(addr).is_err()).await;
        sender.send(Bytes::from_static(b"while it leaves")).expect("an open call");
        assert_eq!(next(&mut both).await, "while it leaves");
        drop(sender);
        assert_eq!(both.message().await.expect("no error"), None);
        until("it has left", || leaving.is_finished()).await;
        leaving.join().expect("it leaves");
    });
    assert_eq!(server.cancelled(), 0);
}

#[test]
fn calls_in_which_nobody_speaks_outlast_the_patience_with_bodies() {
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.timeout("body_progress", "1s").timeout("tunnel_idle", "30s").start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let mut held = client.down("/t.Calls/ListenerHandle", text("?")).await.expect("a stream");
        assert_eq!(next(&mut held).await, "begun");
        let (sender, sent) = fed();
        sender.send(Bytes::from_static(b"one")).expect("a call");
        let mut both = client.both("/t.Calls/Both", Request::new(sent)).await.expect("a stream");
        assert_eq!(next(&mut both).await, "one");
        let (uploader, uploaded) = fed();
        uploader.send(Bytes::from_static(b"one")).expect("a call");
        let up = async {
            wait_out_a_body(&edge).await;
            uploader.send(Bytes::from_static(b"two")).expect("an open call");
            drop(uploader);
        };
        let (told, ()) = tokio::join!(client.up("/t.Calls/Up", uploaded), up);
        assert_eq!(told.expect("an answer"), "2 6");
        sender.send(Bytes::from_static(b"two")).expect("an open call");
        assert_eq!(next(&mut both).await, "two");
        server.go();
        assert_eq!(next(&mut held).await, "ended");
    });
}

#[test]
fn a_service_that_says_grpc_has_that_patience_before_its_pods_have_answered_anything() {
    let server = Server::start();
    let mut says_so = h2c("web");
    says_so["spec"]["ports"][0]["appProtocol"] = json!("grpc");
    let (builder, authority) = in_front_of(server.addr());
    let builder = builder.object("web.json", &says_so);
    let edge = builder.timeout("body_progress", "1s").timeout("tunnel_idle", "30s").start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let (uploader, uploaded) = fed();
        uploader.send(Bytes::from_static(b"one")).expect("a call");
        let up = async {
            until("the call is there", || server.connections() == 1).await;
            wait_out_a_body(&edge).await;
            uploader.send(Bytes::from_static(b"two")).expect("an open call");
            drop(uploader);
        };
        let (told, ()) = tokio::join!(client.up("/t.Calls/Up", uploaded), up);
        assert_eq!(told.expect("an answer"), "2 6");
    });
}

/// Sees the patience end for a body that begins now and is no call.
async fn wait_out_a_body(edge: &Edge) {
    let mut plain = Connection::open(edge.addr()).await;
    let head = request("POST", "/t.Calls/Up").body(()).expect("valid");
    let (response, _stream) = plain.begin(head).await;
    assert_eq!(response.await.expect("an answer").status(), 408);
}

/// Sends a call to a proxy and leaves the answer to the log: the call is never whole.
async fn half_a_call(edge: &Edge, path: &str) {
    let mut connection = Connection::open(edge.addr()).await;
    let head = request("POST", path).header("content-type", "application/grpc");
    let (response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
    stream.send_data(Bytes::from_static(&[0; 5]), false).expect("an open stream");
    let _ = response.await;
}

#[test]
fn what_only_the_client_calls_grpc_has_the_patience_with_bodies() {
    // The Service speaks HTTP/1.1.
    let pod = Upstream::scripted(|conn| {
        conn.request();
    });
    let edge = secured(pod.addr()).timeout("body_progress", "300ms").start();
    run(half_a_call(&edge, "/t.Calls/Up"));
    edge.ended("request_timeout");

    // It speaks HTTP/2, and has never answered a call.
    let pod = Upstream::scripted(|conn| framed::serve(conn, |_, _, _| {}));
    let (builder, _) = in_front_of(pod.addr());
    let edge = builder.timeout("body_progress", "300ms").start();
    run(half_a_call(&edge, "/t.Calls/Up"));
    edge.ended("request_timeout");

    // It speaks HTTP/2, and the answer is none of gRPC.
    let pod = Upstream::scripted(|conn| {
        framed::serve(conn, |conn, stream, _| {
            let fields = [("content-type", "text/plain")];
            conn.send([framed::head(stream, &fields), framed::part(stream, b"begun")].concat());
        });
    });
    let (builder, _) = in_front_of(pod.addr());
    let edge = builder.timeout("body_progress", "300ms").start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let head = request("POST", "/t.Calls/Down").header("content-type", "application/grpc");
        let response = connection.send(head.body(()).expect("valid")).await;
        let mut body = response.await.expect("an answer").into_body();
        while let Some(Ok(_)) = body.data().await {}
    });
    edge.ended("upstream_stalled");
}
