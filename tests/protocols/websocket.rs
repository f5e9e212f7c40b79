//! WebSocket between two peers that are not ours: tungstenite on both sides, and node as the client.

use crate::client::Client;
use crate::program;
use crate::secured::{HOST, offering, secured, verifiable};
use crate::skipped;
use crate::support::{Edge, PATIENCE};
use crate::switched::await_open;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Bytes, Error, Message, WebSocket};

/// A server that sends every message back, and ends with the process.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut socket = tungstenite::accept(socket).expect("a WebSocket");
                // tungstenite answers pings and closes by itself.
                while let Ok(message) = socket.read() {
                    if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

/// Messages of each kind and of many sizes, there and back, and a proper end.
fn converse<S: Read + Write>(socket: &mut WebSocket<S>) {
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024];
    for size in sizes {
        for message in [Message::text("ü".repeat(size / 2)), Message::binary(vec![7; size])] {
            socket.send(message.clone()).expect("an open tunnel");
            assert!(socket.read().expect("the message") == message, "{size} bytes came back");
        }
    }
    socket.send(Message::Ping(Bytes::from_static(b"there?"))).expect("an open tunnel");
    assert_eq!(socket.read().expect("a pong"), Message::Pong(Bytes::from_static(b"there?")));
    // Many on their way at once.
    for number in 0..100 {
        socket.send(Message::text(number.to_string())).expect("an open tunnel");
    }
    for number in 0..100 {
        assert_eq!(socket.read().expect("the message"), Message::text(number.to_string()));
    }
    let reason = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    socket.close(Some(reason.clone())).expect("an open tunnel");
    assert_eq!(socket.read().expect("the same back"), Message::Close(Some(reason)));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)), "and the end");
}

#[test]
fn messages_of_each_kind_and_size_pass_both_ways() {
    let edge = Edge::to(&[echo()]);
    let socket = TcpStream::connect(edge.addr()).expect("the proxy listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let url = format!("ws://{HOST}/chat");
    let (mut socket, answer) = tungstenite::client(&*url, socket).expect("a WebSocket");
    assert_eq!(answer.status(), 101);
    await_open(&edge, 1.0);
    converse(&mut socket);
    drop(socket);
    await_open(&edge, 0.0);
    let line = edge.await_log(1).remove(0);
    assert_eq!((&line["status"], &line["reason"]), (&101.into(), &serde_json::Value::Null));
    assert!(line["bytes_in"].as_u64().is_some_and(|bytes| bytes > 2 * 1024 * 1024), "{line}");
}

#[test]
fn messages_of_each_kind_and_size_pass_both_ways_within_tls() {
    let edge = secured(echo()).start();
    let config = offering(&["http/1.1"]);
    let client = Client::offer(edge.addr(), HOST, &config).expect("a handshake");
    let url = format!("wss://{HOST}/chat");
    let (mut socket, answer) = tungstenite::client(&*url, client.stream).expect("a WebSocket");
    assert_eq!(answer.status(), 101);
    converse(&mut socket);
    drop(socket);
    await_open(&edge, 0.0);
}

/// Sends text and bytes, and compares what comes back.
const SCRIPT: &str = r#"
const socket = new WebSocket(process.argv[1]);
socket.binaryType = "arraybuffer";
const large = "x".repeat(1024 * 1024);
const messages = ["hello", large, new Uint8Array([0, 255]).buffer];
let at = 0;
const text = (data) => typeof data === "string" ? data : Buffer.from(data).toString("hex");
socket.onopen = () => socket.send(messages[0]);
socket.onerror = (event) => { console.log("error", event.error ?? event.message); process.exit(1); };
socket.onmessage = (event) => {
    if (text(event.data) !== text(messages[at])) { console.log("differs", at); process.exit(1); }
    at += 1;
    if (at < messages.length) socket.send(messages[at]); else socket.close(1000, "done");
};
socket.onclose = (event) => console.log("closed", at, event.code, event.reason, event.wasClean);
"#;

#[test]
fn node_speaks_websocket_through_verified_tls() {
    let Some(node) = program("node") else { return };
    // It is built in since version 22, and behind this option since 20.10.
    let has =
        ["--experimental-websocket", "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"];
    if !Command::new(&node).args(has).output().expect("it can be run").status.success() {
        skipped("this node has no WebSocket");
        return;
    }
    let (builder, authority) = verifiable(echo());
    let edge = builder.start();
    let output = Command::new(node)
        .args(["--experimental-websocket", "--no-warnings", "-e", SCRIPT, "--"])
        .arg(format!("wss://localhost:{}/chat", edge.addr().port()))
        .env("NODE_EXTRA_CA_CERTS", authority)
        .output()
        .expect("it can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.trim(), "closed 3 1000 done true", "{output:?}");
    await_open(&edge, 0.0);
}
