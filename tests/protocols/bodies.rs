//! Bodies of any size pass through HTTP/2 in buffers of a fixed one: measured on the real binary.

use crate::multiplexed::{Connection, get, next, request, run, run_for, whole};
use crate::secured::secured;
use crate::support::{Conn, Upstream};
use bytes::Bytes;
use h2::client::Builder;
use std::future::poll_fn;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// How much two transfers may add to the memory of the process: their windows and buffers are a few
/// MiB, and the allocator takes memory in steps of 2 MiB for each thread.
const ROOM: u64 = 32 * MIB;

/// A piece of a body.
static PIECE: [u8; 256 * 1024] = [b'x'; 256 * 1024];

/// Bytes of each body. `RAVELIN_BODY_MIB=5120` is what nobody wants to wait for every time.
fn length() -> u64 {
    let set = std::env::var("RAVELIN_BODY_MIB").ok();
    set.map_or(256, |set| set.parse().expect("a number of MiB")) * MIB
}

/// Each takes no longer than this, however slow the machine: 4 MiB in a second.
fn patience() -> Duration {
    Duration::from_secs(20 + length() / MIB / 4)
}

/// The head of an answer after which the connection closes.
const CLOSING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n";

/// A backend: `/down` is a body for the client, `/up` takes one and tells its size.
fn backend() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        // One request each: what waits in the pool would take the backend's patience.
        if let Some(mut request) = conn.head() {
            match request.target() {
                "/down" => {
                    conn.send(format!("{CLOSING}Content-Length: {}\r\n\r\n", length()));
                    for _ in 0..length() / PIECE.len() as u64 {
                        if !conn.send(PIECE) {
                            return;
                        }
                    }
                }
                "/up" => {
                    let mut size = 0;
                    let result = conn.wire.body_into(&mut request, |bytes| size += bytes.len());
                    assert_eq!(result, Ok(()));
                    conn.send(format!("{CLOSING}\r\n{size}"));
                }
                _ => drop(conn.send(format!("{CLOSING}\r\nwarm"))),
            }
        }
    })
}

/// Uploads a body of unknown length; returns what the backend says of it.
fn upload(addr: SocketAddr) -> String {
    run_for(patience(), async {
        let mut connection = Connection::open(addr).await;
        let (response, mut stream) =
            connection.begin(request("PUT", "/up").body(()).expect("valid")).await;
        let mut left = usize::try_from(length()).expect("64 bits");
        while left > 0 {
            stream.reserve_capacity(left.min(PIECE.len()));
            let room = poll_fn(|cx| stream.poll_capacity(cx)).await;
            let room = room.expect("an open stream").expect("room").min(left);
            let piece = Bytes::from_static(&PIECE[..room.min(PIECE.len())]);
            left -= piece.len();
            stream.send_data(piece, left == 0).expect("an open stream");
        }
        whole(response.await.expect("an answer")).await.text().to_owned()
    })
}

fn download(addr: SocketAddr) -> u64 {
    run_for(patience(), async {
        let mut settings = Builder::new();
        settings.initial_window_size(1 << 20).initial_connection_window_size(1 << 20);
        let mut connection = Connection::with(addr, &settings).await;
        let mut body = connection.send(get("/down")).await.await.expect("a head").into_body();
        let mut size = 0;
        while let Some(bytes) = next(&mut body).await {
            size += bytes.expect("the whole body").len() as u64;
        }
        size
    })
}

#[test]
fn each_piece_of_an_upload_can_be_answered_before_the_next_is_sent() {
    let upstream = Upstream::scripted(|conn| {
        let mut request = conn.head().expect("a request");
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut answering = conn.wire.stream.try_clone().expect("files are left");
        let result = conn.wire.body_into(&mut request, |bytes| {
            let text = str::from_utf8(bytes).expect("UTF-8");
            write!(answering, "{:x}\r\n{text}\r\n", text.len()).expect("the proxy reads");
        });
        assert_eq!(result, Ok(()));
        conn.send("0\r\n\r\n");
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let (response, mut stream) =
            connection.begin(request("POST", "/").body(()).expect("valid")).await;
        let mut body = response.await.expect("a head before the body").into_body();
        for number in 0..20 {
            let piece = Bytes::from(format!("piece {number}"));
            stream.send_data(piece.clone(), false).expect("an open stream");
            assert_eq!(next(&mut body).await.expect("the same").expect("the same"), piece);
        }
        stream.send_data(Bytes::new(), true).expect("an open stream");
        assert!(next(&mut body).await.is_none(), "a proper end");
    });
    assert_eq!(edge.await_log(1)[0]["reason"], serde_json::Value::Null);
}

#[test]
fn a_large_body_up_and_one_down_at_once_leave_memory_flat() {
    let upstream = backend();
    let process = secured(upstream.addr()).spawn(2);
    let addr = process.addr();
    // Both workers have served somebody.
    let warm = || run(async { Connection::open(addr).await.ask(get("/")).await });
    for _ in 0..4 {
        assert_eq!(warm().text(), "warm");
    }
    let before = process.memory();
    let (done, all_done) = channel::<()>();
    let up_done = done.clone();
    let uploading = thread::spawn(move || (upload(addr), up_done).0);
    let downloading = thread::spawn(move || (download(addr), done).0);
    let (mut peak, mut samples) = (0, 0);
    // Disconnected when both are through.
    while all_done.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        peak = peak.max(process.memory());
        samples += 1;
    }
    assert_eq!(uploading.join().expect("no panic"), length().to_string());
    assert_eq!(downloading.join().expect("no panic"), length());
    assert!(samples >= 10, "only {samples} looks at the memory");
    let added = peak.saturating_sub(before);
    assert!(added < ROOM, "{} KiB were added to {} KiB", added / 1024, before / 1024);
}
