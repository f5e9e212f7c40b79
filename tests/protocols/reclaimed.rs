//! Streams that stand still while memory is short: they end.

use crate::frames::{self, Frames, SETTINGS, frame};
use crate::multiplexed::{Connection, get, run, whole};
use crate::secured::secured;
use crate::support::{Upstream, eventually};
use std::io::Write;

/// Of one connection; below the default of `http2.streams`.
const STREAMS: u32 = 150;

/// Together they ask for several times what may be held.
const CONNECTIONS: usize = 8;

/// A pod: `/` is a word, and all else an answer that does not end.
fn pod() -> Upstream {
    Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/" {
                conn.answer("through");
                continue;
            }
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 30));
            let piece = vec![b'x'; 64 * 1024];
            while conn.wire.stream.write_all(&piece).is_ok() {}
            return;
        }
    })
}

/// A connection with streams that have no window.
fn hoard(addr: std::net::SocketAddr) -> Frames {
    let (mut frames, _) = Frames::open(addr);
    // SETTINGS_INITIAL_WINDOW_SIZE.
    frames.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    for number in 0..STREAMS {
        if !frames.try_send(&frames::get(2 * number + 1, "/long", &[])) {
            break;
        }
    }
    frames
}

#[test]
fn streams_without_a_window_are_ended_and_others_are_served() {
    let pod = pod();
    let edge = secured(pod.addr()).set("limits", "memory", "\"16MiB\"").start();
    let hoards: Vec<_> = (0..CONNECTIONS).map(|_| hoard(edge.addr())).collect();
    let ended = || edge.metrics().sum("ravelin_memory_ended_total", &[("cause", "process")]);
    eventually("some were ended", || (ended() > 0.0).then_some(()));
    eventually("it is enough", || {
        let held = edge.metrics().sum("ravelin_memory_held_bytes", &[]);
        (held < 0.6 * 16.0 * 1024.0 * 1024.0).then_some(())
    });
    run(async {
        let mut honest = Connection::open(edge.addr()).await;
        let answer = honest.send(get("/")).await.await.expect("an answer");
        assert_eq!(whole(answer).await.text(), "through");
    });
    let reason = [("reason", "memory_reclaimed")];
    assert!(edge.metrics().sum("ravelin_requests_total", &reason) > 0.0);
    drop(hoards);
}
