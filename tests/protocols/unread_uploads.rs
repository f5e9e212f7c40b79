//! Request bodies that nobody reads: how much a connection may hold, and what is dropped holds nothing.

use crate::multiplexed::{Connection, get, request, run, whole};
use crate::secured::secured;
use crate::support::{Edge, Gate, Upstream};
use crate::until::until;
use bytes::Bytes;
use http::StatusCode;
use std::future::poll_fn;
use tokio::task::spawn_local;

const MIB: usize = 1024 * 1024;

fn held(edge: &Edge) -> f64 {
    edge.metrics().sum("ravelin_memory_held_bytes", &[("kind", "bodies")])
}

/// A pod that takes the head of `/stuck` and nothing of its body before the gate opens, answers `/early`
/// at once, and everything else with its body.
fn pod(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::scripted(move |conn| {
        while let Some(mut request) = conn.head() {
            match request.target() {
                "/stuck" => {
                    gate.wait();
                    conn.body(&mut request);
                    conn.answer("taken");
                }
                "/early" => {
                    conn.send(
                        "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                    return conn.closes();
                }
                _ => {
                    conn.body(&mut request);
                    conn.answer("whole");
                }
            }
        }
    })
}

/// Sends an upload as fast as the proxy lets, and returns the status of its answer.
async fn upload(mut connection: Connection, path: &'static str, bytes: usize) -> StatusCode {
    let (response, mut stream) =
        connection.begin(request("POST", path).body(()).expect("valid")).await;
    let answer = spawn_local(async move { whole(response.await.expect("an answer")).await.status });
    let mut left = bytes;
    while left > 0 {
        stream.reserve_capacity(left);
        // An answer that came early has ended the stream.
        let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { break };
        let piece = Bytes::from(vec![b'x'; room.min(left)]);
        left -= piece.len();
        if stream.send_data(piece, left == 0).is_err() {
            break;
        }
    }
    let status = answer.await.expect("no panic");
    if left > 0 {
        // Resets of both sides that cross are counted only by the next WINDOW_UPDATE.
        let _ = poll_fn(|cx| stream.poll_reset(cx)).await;
    }
    status
}

#[test]
fn a_connection_holds_its_share_of_uploads_and_others_are_served_all_the_while() {
    let gate = Gate::default();
    let upstream = pod(&gate);
    let edge = secured(upstream.addr()).set("limits", "memory", "\"16MiB\"").start();
    run(async {
        let greedy = Connection::open(edge.addr()).await;
        let uploads: Vec<_> =
            (0..4).map(|_| spawn_local(upload(greedy.share(), "/stuck", 5 * MIB))).collect();
        // An eighth of what is not kept for connections that hold little.
        let share = 1.5 * MIB as f64;
        until("the share is used", || held(&edge) > 0.7 * share).await;
        for _ in 0..20 {
            let mut other = Connection::open(edge.addr()).await;
            assert_eq!(other.post("/", "small").await.text(), "whole");
            // What the pods have in their sockets is not held any more.
            assert!(held(&edge) < 1.3 * share, "{}", held(&edge));
        }
        gate.open();
        for upload in uploads {
            assert_eq!(upload.await.expect("no panic"), 200);
        }
        until("nothing is held", || held(&edge) == 0.0).await;
    });
}

#[test]
fn uploads_that_were_answered_early_hold_nothing_while_their_connection_goes_on() {
    let gate = Gate::default();
    let upstream = pod(&gate);
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        // It keeps the connection from being without a stream.
        let waits = connection.send(get("/stuck")).await;
        for _ in 0..5 {
            let uploads: Vec<_> = (0..4)
                .map(|_| spawn_local(upload(connection.share(), "/early", 5 * MIB)))
                .collect();
            for upload in uploads {
                assert_eq!(upload.await.expect("no panic"), 413);
            }
        }
        until("nothing is held", || held(&edge) == 0.0).await;
        gate.open();
        assert_eq!(whole(waits.await.expect("an answer")).await.text(), "taken");
    });
}
