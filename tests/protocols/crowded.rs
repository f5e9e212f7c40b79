//! Hundreds of streams that stay open and say little: what each holds of the proxy, and that all of
//! it comes back.

use crate::client::Client;
use crate::frames::{self, DATA, Frames};
use crate::secured::{HOST, offering, secured};
use crate::support::{Metrics, Process, Upstream, eventually};
use crate::websocket::echo;
use rlimit::increase_nofile_limit;
use rustls::ClientConfig;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tungstenite::{Message, WebSocket};

/// Streams that are open at the same time.
const OPEN: u64 = 500;

/// Streams on one connection with HTTP/2.
const TOGETHER: u64 = 50;

/// The test's own ends of them: a socket of each client, and two handles of the backend.
const FILES: u64 = 4096;

const KIB: u64 = 1024;

/// What a WebSocket may hold: 51 to 55 KiB were measured. They are the state and the buffers of TLS,
/// a task of each side, and two buffers of 8 KiB between them. No message is in it.
const OF_A_TUNNEL: u64 = 80 * KIB;

/// What an answer that goes on may hold on a connection of its own: 58 to 62 KiB were measured. There
/// are hyper's buffers of 8 KiB for reading on both sides, and TLS and the tasks as before.
const OF_AN_ANSWER: u64 = 96 * KIB;

/// The same where the client's connection is shared by [`TOGETHER`]: 32 to 37 KiB were measured, which
/// is the upstream's half of it.
const OF_A_STREAM: u64 = 56 * KIB;

/// How often they are opened and closed. If nothing were given back, the last would find as many times
/// what the first did.
const ROUNDS: u64 = 4;

/// How much more a later round may find: up to twice the first was measured, however many there were
/// before. The allocator gives pages back when all of a page is free, and not at once.
const LATER: u64 = 2;

/// Opens them again and again, and checks what they add, at `most` for each the first time, and that
/// no file is left of them. `metric` counts them, a number of them that is `counted`.
fn hold_little<T>(
    process: &Process,
    most: u64,
    (metric, counted): (&str, u64),
    open: impl Fn(u64) -> Vec<T>,
) {
    let now = || Metrics::scrape(process.admin()).sum(metric, &[("listener", "web")]);
    let closed = || eventually("all are closed", || (now() == 0.0).then_some(()));
    // Both workers have served somebody.
    drop(open(TOGETHER));
    closed();
    let files = settled(|| process.open_files());
    let before = process.memory();
    for round in 0..ROUNDS {
        let streams = open(OPEN);
        let expected = f64::from(u32::try_from(counted).expect("a small number"));
        eventually("all are open", || (now() == expected).then_some(()));
        let each = process.memory().saturating_sub(before) / OPEN;
        let most = if round == 0 { most } else { most * LATER };
        assert!(each < most, "{each} bytes for each, {most} at most, in round {round}");
        drop(streams);
        closed();
        // The one is the admin port's, for the question before.
        eventually("files are closed", || (process.open_files() <= files + 1).then_some(()));
    }
}

/// What there is when it no longer changes.
fn settled(mut look: impl FnMut() -> usize) -> usize {
    let mut last = (look(), 0);
    eventually("it settles", || {
        let now = look();
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        // A fifth of a second at least.
        (last.1 >= 40).then_some(now)
    })
}

/// A WebSocket that has passed a few messages.
fn chat(
    addr: SocketAddr,
    config: &Arc<ClientConfig>,
) -> WebSocket<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    let client = Client::offer(addr, HOST, config).expect("a handshake");
    let url = format!("wss://{HOST}/chat");
    let (mut socket, _) = tungstenite::client(&*url, client.stream).expect("a WebSocket");
    for size in [1, 1000, 20_000] {
        let message = Message::text("x".repeat(size));
        socket.send(message.clone()).expect("an open tunnel");
        assert_eq!(socket.read().expect("the message"), message);
    }
    socket
}

#[test]
fn websockets_that_are_idle_hold_little_and_give_all_of_it_back() {
    increase_nofile_limit(FILES).expect("a limit");
    let process = secured(echo()).spawn(2);
    let config = offering(&["http/1.1"]);
    hold_little(&process, OF_A_TUNNEL, ("ravelin_tunnels_open", OPEN), |count| {
        (0..count).map(|_| chat(process.addr(), &config)).collect()
    });
}

/// A backend of events that never end.
fn events() -> Upstream {
    Upstream::scripted(|conn| {
        if conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
            for number in 0..3 {
                conn.send(format!("data: {}\n\n", "x".repeat(1000)));
                conn.send(format!("data: number {number}\n\n"));
            }
            conn.closes();
        }
    })
}

/// The last event that comes.
const LAST: &[u8] = b"data: number 2\n\n";

/// A stream of events on a connection of HTTP/1.1, all that there are taken.
fn follow(addr: SocketAddr, config: &Arc<ClientConfig>) -> Client {
    let mut client = Client::offer(addr, HOST, config).expect("a handshake");
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    let mut bytes = Vec::new();
    while !bytes.windows(LAST.len()).any(|part| part == LAST) {
        let mut buffer = [0; 4096];
        let read = client.stream.read(&mut buffer).expect("an event");
        assert!(read > 0, "the end after {} bytes", bytes.len());
        bytes.write_all(&buffer[..read]).expect("a Vec");
    }
    client
}

/// So many on one connection of HTTP/2.
fn follow_together(addr: SocketAddr) -> Frames {
    let (mut frames, _) = Frames::open(addr);
    frames.send(&frames::window(1 << 20));
    let mut waiting = BTreeSet::new();
    for number in 0..TOGETHER {
        let stream = u32::try_from(2 * number + 1).expect("a small number");
        frames.send(&frames::get(stream, "/", &[]));
        waiting.insert(stream);
    }
    while !waiting.is_empty() {
        let data = frames.next_of(DATA);
        if data.payload.windows(LAST.len()).any(|part| part == LAST) {
            waiting.remove(&data.stream);
        }
    }
    frames
}

#[test]
fn events_on_a_connection_each_hold_little_and_give_all_of_it_back() {
    increase_nofile_limit(FILES).expect("a limit");
    let upstream = events();
    let process = secured(upstream.addr()).spawn(2);
    let config = offering(&["http/1.1"]);
    hold_little(&process, OF_AN_ANSWER, ("ravelin_connections_open", OPEN), |count| {
        (0..count).map(|_| follow(process.addr(), &config)).collect()
    });
}

#[test]
fn events_on_shared_connections_hold_little_and_give_all_of_it_back() {
    increase_nofile_limit(FILES).expect("a limit");
    let upstream = events();
    let process = secured(upstream.addr()).spawn(2);
    let metric = ("ravelin_connections_open", OPEN / TOGETHER);
    hold_little(&process, OF_A_STREAM, metric, |count| {
        (0..count / TOGETHER).map(|_| follow_together(process.addr())).collect()
    });
}
