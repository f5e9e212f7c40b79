//! Many calls at once, and long ones: what they take of connections and of memory.

use super::client::{Client, next, text};
use super::in_front_of;
use super::server::{CROWD, Server};
use crate::multiplexed::{run, run_for};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::Request;
use tonic::transport::{self, Endpoint};

const MIB: u64 = 1024 * 1024;

#[test]
fn two_hundred_calls_at_once_share_the_clients_connection_and_few_to_the_server() {
    let server = Server::with(transport::Server::builder().max_concurrent_streams(100));
    let (builder, authority) = in_front_of(server.addr());
    let edge = builder.start();
    run(async {
        let client = Client::connect(edge.addr(), &authority).await;
        let mut calls = JoinSet::new();
        for number in 0..CROWD {
            let client = client.clone();
            // No call is answered before all are there.
            calls.spawn(async move {
                let message = Bytes::from(number.to_string());
                let answer = client.unary("/t.Calls/Gather", Request::new(message.clone())).await;
                assert_eq!(answer.expect("an answer").into_inner(), message);
            });
        }
        calls.join_all().await;
        edge.await_metric("ravelin_connections_accepted_total", &[], 1.0);
    });
    assert!(server.connections() <= 3, "{} connections", server.connections());
}

/// How much a stream may add to the memory of the process: windows and buffers are a few hundred
/// KiB, and the allocator takes memory in steps of 2 MiB for each thread.
const ROOM: u64 = 16 * MIB;

/// What may be on its way: the windows of both sides, and sockets as large as the kernel lets them
/// grow on loopback (net.ipv4.tcp_rmem and tcp_wmem).
const ON_THE_WAY: u64 = 24 * MIB;

#[test]
fn a_long_stream_with_a_slow_reader_leaves_memory_flat() {
    const COUNT: u64 = 256;
    const SIZE: u64 = MIB / 4;
    let server = Server::start();
    let (builder, authority) = in_front_of(server.addr());
    let process = builder.spawn(2);
    run_for(Duration::from_secs(60), async {
        let small = |endpoint: Endpoint| endpoint.initial_stream_window_size(64 * 1024);
        let client = Client::with(process.addr(), &authority, small).await;
        for _ in 0..4 {
            client.unary("/t.Calls/Unary", text("warm")).await.expect("an answer");
        }
        let before = process.memory();
        let request = Request::new(Bytes::from(format!("{COUNT} {SIZE}")));
        let mut messages = client.down("/t.Calls/Down", request).await.expect("a stream");
        let mut peak = 0;
        for number in 0..COUNT {
            // Now and then it reads nothing until the server can send no more.
            if number % 64 == 0 {
                settle(&server).await;
                let ahead = server.sent().saturating_sub(number * SIZE);
                assert!(ahead < ON_THE_WAY, "{} KiB were taken for nobody", ahead / 1024);
            }
            assert_eq!(next(&mut messages).await.len() as u64, SIZE);
            peak = peak.max(process.memory());
        }
        assert_eq!(messages.message().await.expect("no error"), None);
        let added = peak.saturating_sub(before);
        assert!(added < ROOM, "{} KiB were added to {} KiB", added / 1024, before / 1024);
    });
    assert_eq!(server.sent(), COUNT * SIZE);
}

/// Reads nothing until the server has sent nothing for a while: the pace of a slow reader. That no more can
/// be sent is an event of the kernel's, which tells nobody.
async fn settle(server: &Server) {
    let mut last = (server.sent(), Instant::now());
    while last.1.elapsed() < Duration::from_millis(200) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let sent = server.sent();
        if sent != last.0 {
            last = (sent, Instant::now());
        }
    }
}
