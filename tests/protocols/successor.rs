//! A successor takes over while TLS, HTTP/2 and WebSockets are spoken: another process, or the same one
//! after SIGHUP.

use crate::client::Client as TlsClient;
use crate::frames::{self, DATA, END_STREAM, Frames, GOAWAY, HEADERS};
use crate::secured::{HOST, offering, secured};
use crate::support::{Builder, Client, Gate, Metrics, Process, Upstream, edge_to, eventually};
use crate::switched::{End, agree, ends, open_on};
use rustls::{ClientConfig, HandshakeKind};
use std::net::SocketAddr;
use std::sync::Arc;

/// A process to which new connections are steered.
fn spawn(builder: Builder) -> Process {
    let process = builder.timeout("drain", "20s").timeout("drain_idle", "5s").spawn(1);
    await_steered(&process);
    process
}

fn await_steered(process: &Process) {
    eventually("the kernel is steered", || {
        let metrics = Metrics::scrape(process.admin());
        (metrics.sum("ravelin_listener_steered", &[("listener", "web")]) > 0.5).then_some(())
    });
}

/// Takes over at once: by another process, or by SIGHUP. Returns who serves then, if another does.
fn succeed(old: &Process, next: Option<Builder>) -> Option<Process> {
    let new = next.map(|builder| spawn(builder.at(old.addr())));
    if new.is_some() {
        old.signal("TERM");
        old.await_message("shutting down");
    } else {
        old.reload(|text| text);
        old.await_message("the new configuration is in force");
    }
    new
}

/// Answers each request when the gate is open.
fn gated(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/slow" {
                gate.wait();
            }
            conn.answer("done");
        }
    })
}

/// Requests on a connection of HTTP/2 one after another, from stream 1 on, until GOAWAY says which was
/// the last; each that it counts has to be answered.
fn until_goaway(frames: &mut Frames) -> u32 {
    let mut stream = 1;
    loop {
        frames.send(&frames::get(stream, "/", &[]));
        let mut is_leaving = false;
        loop {
            let Some(frame) = frames.next() else { return stream };
            match frame.kind {
                GOAWAY => {
                    assert_eq!(frame.payload[4..8], [0; 4], "without an error: {frame:?}");
                    let last = u32::from_be_bytes(frame.payload[..4].try_into().expect("4"));
                    assert!(last >= stream, "the stream was begun before: {frame:?}");
                    is_leaving = true;
                }
                DATA if frame.flags & END_STREAM != 0 => {
                    assert_eq!((frame.stream, &frame.payload[..]), (stream, &b"done"[..]));
                    break;
                }
                _ => {}
            }
        }
        if is_leaving {
            return stream;
        }
        stream += 2;
    }
}

fn http2_loses_no_stream(succession: impl Fn(&Upstream) -> Option<Builder>) {
    let gate = Gate::default();
    let upstream = gated(&gate);
    let old = spawn(secured(upstream.addr()));
    let (mut slow, _) = Frames::open(old.addr());
    slow.send(&frames::get(1, "/slow", &[]));
    upstream.await_requests(1);
    let addr = old.addr();
    let busy = std::thread::spawn(move || {
        let (mut frames, _) = Frames::open(addr);
        until_goaway(&mut frames)
    });
    upstream.await_requests(20);
    let _new = succeed(&old, succession(&upstream));
    assert!(busy.join().expect("no stream fails") > 30);
    gate.open();
    assert_eq!(slow.next_of(HEADERS).stream, 1);
    let data = slow.next_of(DATA);
    assert_eq!((data.stream, &data.payload[..]), (1, &b"done"[..]));
    while slow.next().is_some() {}
    old.await_message("left");
}

#[test]
fn http2_loses_no_stream_when_another_process_takes_over() {
    http2_loses_no_stream(|upstream| Some(secured(upstream.addr())));
}

#[test]
fn http2_loses_no_stream_when_the_process_reads_its_configuration_anew() {
    http2_loses_no_stream(|_| None);
}

/// A backend that echoes what it is sent, byte by byte.
fn echoing() -> Upstream {
    Upstream::scripted(|conn| {
        agree(conn);
        while let Some(byte) = conn.try_take(1) {
            conn.send(byte);
        }
    })
}

fn echoes(client: &mut Client, text: &str) {
    client.send(text);
    client.takes(text);
}

fn a_websocket_lives_until_the_grace_is_over(next: impl Fn(&Upstream) -> Option<Builder>) {
    let upstream = echoing();
    let quick = |builder: Builder| builder.timeout("drain", "3s").timeout("drain_idle", "20ms");
    let old = quick(edge_to(&[upstream.addr()])).spawn(1);
    await_steered(&old);
    let mut open = open_on(old.connect());
    echoes(&mut open, "a");
    let new = succeed(&old, next(&upstream));
    // The old one has let go of everything else, and the tunnel goes on; new ones are the successor's.
    echoes(&mut open, "b");
    let mut later = open_on(old.connect());
    echoes(&mut later, "c");
    // Then it is closed, and not reset.
    ends(&open);
    old.await_message("left");
    echoes(&mut later, "d");
    drop(new);
}

#[test]
fn a_websocket_lives_until_the_grace_is_over_when_another_process_takes_over() {
    a_websocket_lives_until_the_grace_is_over(|upstream| Some(edge_to(&[upstream.addr()])));
}

#[test]
fn a_websocket_lives_until_the_grace_is_over_when_the_configuration_is_read_anew() {
    a_websocket_lives_until_the_grace_is_over(|_| None);
}

/// How a handshake ends; its connection answers, so that tickets have come.
fn shake(addr: SocketAddr, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut client = TlsClient::offer(addr, HOST, config).expect("a handshake");
    assert_eq!(client.get(HOST).status(), "200");
    client.stream.conn.handshake_kind().expect("it is through")
}

#[test]
fn a_successor_with_the_same_secret_resumes_sessions_and_one_without_does_not() {
    let upstream = Upstream::saying("done");
    let state = tempfile::tempdir().expect("a temporary folder");
    let directory = format!("{:?}", state.path());
    let key = state.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").expect("a new file");
    let named = |key: &std::path::Path| {
        secured(upstream.addr()).set("tls", "ticket_key_file", &format!("{key:?}"))
    };
    let kept = || secured(upstream.addr()).set("state", "directory", &directory);
    let plain = || secured(upstream.addr());
    let other = state.path().join("other");
    std::fs::write(&other, "another secret that is long enough").expect("a new file");
    for (what, old, new, expected) in [
        ("one state directory", kept(), kept(), HandshakeKind::Resumed),
        ("one file", named(&key), named(&key), HandshakeKind::Resumed),
        ("none", plain(), plain(), HandshakeKind::Full),
        ("two files", named(&key), named(&other), HandshakeKind::Full),
        ("a file and none", named(&key), plain(), HandshakeKind::Full),
    ] {
        let old = spawn(old);
        let config = offering(&["http/1.1"]);
        let kinds = [(); 2].map(|()| shake(old.addr(), &config));
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed], "{what}");
        let new = succeed(&old, Some(new)).expect("another process");
        assert_eq!(shake(new.addr(), &config), expected, "{what}");
        assert_eq!(shake(new.addr(), &config), HandshakeKind::Resumed, "{what}");
    }
    let mode = std::fs::metadata(state.path().join("ticket.key")).expect("it was made");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o777, 0o600);
}

#[test]
fn sessions_go_on_when_the_configuration_is_read_anew() {
    let upstream = Upstream::saying("done");
    let process = spawn(secured(upstream.addr()));
    let config = offering(&["http/1.1"]);
    assert_eq!(shake(process.addr(), &config), HandshakeKind::Full);
    succeed(&process, None);
    assert_eq!(shake(process.addr(), &config), HandshakeKind::Resumed);
}
