//! Bodies of any size pass through buffers of a fixed one: measured on the real binary.

use crate::support::{Conn, Framing, Process, Upstream, edge_to, eventually};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// How much a transfer may add to the memory of the process: 6 to 16 MiB were measured, in steps
/// of 2 MiB in which the allocator takes it for each thread, and no more for longer bodies. A
/// proxy that buffers would add hundreds.
const ROOM: u64 = 32 * MIB;

/// A piece of a body.
static PIECE: [u8; 256 * 1024] = [b'x'; 256 * 1024];

/// Sends `bytes` of body, counting what has left.
fn pour(mut to: impl Write, bytes: u64, sent: &AtomicU64) {
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(PIECE.len(), |left| left.min(PIECE.len()));
        let Ok(written) = to.write(&PIECE[..now]) else { return };
        sent.fetch_add(written as u64, Ordering::Relaxed);
        left -= written as u64;
    }
}

/// A backend: `/down` is a GiB for the client, `/up` takes one and tells its size, `/stuck` takes
/// nothing.
fn backend(poured: &Arc<AtomicU64>) -> Upstream {
    let poured = Arc::clone(poured);
    Upstream::scripted(move |conn: &mut Conn| {
        while let Some(mut request) = conn.head() {
            match request.target() {
                "/down" => {
                    conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n"));
                    pour(&conn.wire.stream, GIB, &poured);
                }
                "/up" => {
                    let mut size = 0;
                    let result = conn.wire.body_into(&mut request, |bytes| size += bytes.len());
                    assert_eq!(result, Ok(()));
                    conn.answer(&size.to_string());
                }
                "/stuck" => {
                    // Waits for the end of the connection, without reading.
                    eventually("the proxy gives up", || {
                        let error = conn.wire.stream.take_error().expect("a socket");
                        (error.is_some() || conn.is_stopping()).then_some(())
                    });
                    return;
                }
                _ => conn.answer("warm"),
            }
        }
    })
}

/// A process that has served both of its workers a request, and the memory it uses then.
fn warm(upstream: &Upstream) -> (Process, u64) {
    let process = edge_to(&[upstream.addr()]).spawn(2);
    let mut clients = [process.connect(), process.connect()];
    for client in &mut clients {
        assert_eq!(client.get("a", "/").text(), "warm");
    }
    drop(clients);
    let memory = process.memory();
    (process, memory)
}

#[test]
fn a_gibibyte_up_and_one_down_at_once_leave_memory_flat() {
    let poured = Arc::default();
    let upstream = backend(&poured);
    let (process, before) = warm(&upstream);
    let (done, all_done) = channel::<()>();
    let mut up = process.connect();
    let up_done = done.clone();
    let uploading = thread::spawn(move || {
        up.send(format!("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {GIB}\r\n\r\n"));
        pour(&up.wire.stream, GIB, &AtomicU64::new(0));
        drop(up_done);
        up.response().text().to_owned()
    });
    let mut down = process.connect();
    let downloading = thread::spawn(move || {
        down.ask("GET", "a", "/down");
        let mut head = down.head();
        assert_eq!(head.framing, Framing::Length(GIB));
        let mut size = 0;
        let result = down.wire.body_into(&mut head, |bytes| size += bytes.len() as u64);
        assert_eq!(result, Ok(()));
        drop(done);
        size
    });
    let (mut peak, mut samples) = (0, 0);
    // Disconnected when both are through.
    while all_done.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        peak = peak.max(process.memory());
        samples += 1;
    }
    assert_eq!(uploading.join().expect("no panic"), GIB.to_string());
    assert_eq!(downloading.join().expect("no panic"), GIB);
    assert!(samples >= 10, "only {samples} looks at the memory");
    let added = peak.saturating_sub(before);
    assert!(added < ROOM, "{} KiB were added to {} KiB", added / 1024, before / 1024);
}

/// Waits until a count has stopped growing, and returns it.
fn settled(count: &AtomicU64) -> u64 {
    let mut looks = (0, 0);
    eventually("the count settles", || {
        let now = count.load(Ordering::Relaxed);
        looks = if now == looks.0 { (now, looks.1 + 1) } else { (now, 0) };
        // A hundred looks are half a second at least.
        (now > 0 && looks.1 >= 100).then_some(now)
    })
}

/// What a client that does not read may cost beside sockets: two pieces of 32 KiB and the buffers of two
/// connections; a debug build takes more. 400 KiB and more were measured where hyper's own bounds held.
const OF_AN_UNREAD: u64 = 200 * 1024;

/// What may lie in the sockets of both sides: the largest that the kernel lets them grow to.
const SOCKETS: u64 = 64 * MIB;

#[test]
fn a_client_that_does_not_read_stops_the_upstream_and_not_memory() {
    let poured = Arc::default();
    let upstream = backend(&poured);
    let (process, before) = warm(&upstream);
    let mut clients: Vec<_> = (0..4).map(|_| process.connect()).collect();
    for client in &mut clients {
        client.ask("GET", "a", "/down");
    }
    let sent = settled(&poured);
    let added = process.memory().saturating_sub(before);
    assert!(sent < 4 * SOCKETS, "{} MiB were taken for clients who take none", sent / MIB);
    assert!(added < ROOM, "{} KiB were added to {} KiB", added / 1024, before / 1024);
}

#[test]
fn many_clients_that_do_not_read_cost_a_piece_or_two_each() {
    let clients = 40;
    let poured = Arc::default();
    let upstream = backend(&poured);
    let (process, before) = warm(&upstream);
    let unread: Vec<_> = (0..clients)
        .map(|_| {
            let mut client = process.connect();
            client.ask("GET", "a", "/down");
            client
        })
        .collect();
    settled(&poured);
    let added = process.memory().saturating_sub(before);
    assert!(added < clients * OF_AN_UNREAD, "{} KiB for each", added / clients / 1024);
    drop(unread);
}

#[test]
fn an_upstream_that_does_not_read_stops_the_client_and_not_memory() {
    let upstream = backend(&Arc::default());
    let (process, before) = warm(&upstream);
    let sent = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = process.connect();
            client.send(format!("PUT /stuck HTTP/1.1\r\nHost: a\r\nContent-Length: {GIB}\r\n\r\n"));
            let (stream, sent) =
                (client.wire.stream.try_clone().expect("files"), Arc::clone(&sent));
            let pouring = thread::spawn(move || pour(&stream, GIB, &sent));
            (client, pouring)
        })
        .collect();
    let taken = settled(&sent);
    let added = process.memory().saturating_sub(before);
    assert!(taken < 4 * SOCKETS, "{} MiB were taken for nobody", taken / MIB);
    assert!(added < ROOM, "{} KiB were added to {} KiB", added / 1024, before / 1024);
    drop(process);
    for (client, pouring) in clients {
        drop(client);
        pouring.join().expect("no panic");
    }
}
