//! Streams that stand still while memory is short: they end.

use crate::frames::{self, Frames, GOAWAY, RST_STREAM, SETTINGS, frame};
use crate::multiplexed::{Connection, get, request, run, whole};
use crate::secured::secured;
use crate::support::{Edge, PATIENCE, Upstream, eventually};
use crate::until::until;
use bytes::Bytes;
use h2::client::Builder;
use socket2::{Domain, Socket, Type};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tokio::task::spawn_local;

/// Of one connection; below the default of `http2.streams`.
const STREAMS: u32 = 150;

/// Together they ask for several times what may be held.
const CONNECTIONS: usize = 8;

/// Between two steps of whoever is slow.
const PACE: Duration = Duration::from_millis(5);

/// The code of a stream that is ended for its memory (RFC 9113 section 7).
const CANCEL: u32 = 8;

/// A pod: `/` is a word, `/up` takes a body and tells its length, and all else is an answer that does not
/// end.
fn pod() -> Upstream {
    Upstream::scripted(|conn| {
        while let Some(mut request) = conn.head() {
            if request.target() == "/" {
                conn.answer("through");
                continue;
            }
            if request.target() == "/up" {
                let mut length = 0;
                if conn.wire.body_into(&mut request, |bytes| length += bytes.len()).is_err() {
                    return;
                }
                conn.answer(&length.to_string());
                continue;
            }
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 30));
            let piece = vec![b'x'; 64 * 1024];
            while conn.wire.stream.write_all(&piece).is_ok() {}
            return;
        }
    })
}

/// A connection with streams that have no window, if the proxy takes it.
fn hoard(addr: SocketAddr) -> Option<Frames> {
    let socket = TcpStream::connect(addr).expect("the proxy listens");
    let (mut frames, _) = Frames::try_over(socket)?;
    // SETTINGS_INITIAL_WINDOW_SIZE.
    frames.try_send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    for number in 0..STREAMS {
        if !frames.try_send(&frames::get(2 * number + 1, "/long", &[])) {
            break;
        }
    }
    Some(frames)
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

fn ended(edge: &Edge) -> f64 {
    edge.metrics().sum("ravelin_memory_ended_total", &[("cause", "process")])
}

/// What the client of a hoard is told, up to the end of its connection.
#[derive(Default)]
struct Told {
    resets: AtomicUsize,
    /// Before the end.
    was_told_to_go: AtomicBool,
}

impl Told {
    fn listen(&self, mut frames: Frames) {
        while let Some(frame) = frames.next() {
            match frame.kind {
                RST_STREAM => {
                    assert_eq!(frame.error(), CANCEL);
                    self.resets.fetch_add(1, Relaxed);
                }
                GOAWAY => self.was_told_to_go.store(true, Relaxed),
                _ => {}
            }
        }
    }
}

#[test]
fn who_loses_many_streams_is_told_to_go() {
    /// Connections at most: eight times what may be held.
    const MOST: usize = 64;
    /// Streams that a connection loses before it is told to go.
    const LOST_BEFORE_GOAWAY: usize = 16;
    let pod = pod();
    let edge = secured(pod.addr()).set("limits", "memory", "\"16MiB\"").start();
    let told: Vec<_> = (0..MOST).map(|_| Told::default()).collect();
    let mut next = told.iter();
    thread::scope(|scope| {
        let has_lost_and_gone = |one: &Told| {
            one.was_told_to_go.load(Relaxed) && one.resets.load(Relaxed) >= LOST_BEFORE_GOAWAY
        };
        eventually("one that has lost many is told to go", || {
            if let Some(one) = next.next() {
                let frames = hoard(edge.addr());
                frames.map(|frames| scope.spawn(move || one.listen(frames)));
            }
            told.iter().any(has_lost_and_gone).then_some(())
        });
        drop(edge);
    });
}

/// Takes an answer slowly, in small windows.
async fn sips(addr: SocketAddr, moved: Rc<Cell<usize>>, is_over: Rc<Cell<bool>>) {
    let settings = Builder::new().enable_push(false).initial_window_size(8 * 1024).clone();
    let mut connection = Connection::with(addr, &settings).await;
    let answer = connection.send(get("/long")).await.await.expect("an answer");
    let mut body = answer.into_body();
    while !is_over.get() {
        let piece = body.data().await.expect("no end").expect("it goes on");
        moved.set(moved.get() + piece.len());
        // As an application that takes it bit by bit.
        for _ in 0..piece.len().div_ceil(1024) {
            tokio::time::sleep(PACE).await;
        }
        body.flow_control().release_capacity(piece.len()).expect("it came");
    }
}

/// Sends a body in steps, with a rest after each if it is slow, and compares what the pod says of it.
async fn uploads(
    addr: SocketAddr,
    (step, is_slow): (usize, bool),
    moved: Rc<Cell<usize>>,
    is_over: Rc<Cell<bool>>,
) {
    let mut connection = Connection::open(addr).await;
    let head = request("POST", "/up").body(()).expect("valid");
    let (response, mut stream) = connection.begin(head).await;
    while !is_over.get() {
        stream.reserve_capacity(step);
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.expect("a stream").expect("it goes on").min(step);
        stream.send_data(Bytes::from(vec![b'x'; room]), false).expect("it goes on");
        moved.set(moved.get() + room);
        if is_slow {
            tokio::time::sleep(PACE).await;
        }
    }
    stream.send_data(Bytes::new(), true).expect("it goes on");
    let answer = whole(response.await.expect("an answer")).await;
    assert_eq!(answer.text(), moved.get().to_string());
}

/// Takes an answer as slowly as its socket gives it: what it has not taken is in the proxy's kernel, and
/// the windows of HTTP/2 are open.
fn trickle(addr: SocketAddr, moved: &AtomicUsize, is_over: &AtomicBool) {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("a size");
    socket.connect_timeout(&addr.into(), PATIENCE).expect("the proxy listens");
    let (mut frames, _) = Frames::over(socket.into());
    const WIDE: u32 = 1 << 30;
    let initial = [&[0, 4][..], &WIDE.to_be_bytes()].concat();
    frames.send(&frame(SETTINGS, 0, 0, &initial));
    frames.send(&frames::window(WIDE));
    frames.send(&frames::get(1, "/long", &[]));
    while !is_over.load(Relaxed) {
        let frame = frames.next().expect("it goes on");
        assert_ne!(frame.kind, RST_STREAM);
        moved.fetch_add(frame.payload.len(), Relaxed);
        thread::park_timeout(4 * PACE);
    }
}

#[test]
fn streams_go_on_that_move_fast_or_slowly() {
    let pod = pod();
    let edge = secured(pod.addr()).set("limits", "memory", "\"16MiB\"").start();
    let (trickled, trickle_is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let is_enough = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| trickle(edge.addr(), &trickled, &trickle_is_over));
        run(async {
            let is_over = Rc::new(Cell::new(false));
            let moved: [Rc<Cell<usize>>; 3] = Default::default();
            let works = [
                spawn_local(sips(edge.addr(), moved[0].clone(), is_over.clone())),
                spawn_local(uploads(edge.addr(), (16, true), moved[1].clone(), is_over.clone())),
                spawn_local(uploads(
                    edge.addr(),
                    (65_536, false),
                    moved[2].clone(),
                    is_over.clone(),
                )),
            ];
            let now = || {
                let inside = moved.each_ref().map(|moved| moved.get());
                [inside[0], inside[1], inside[2], trickled.load(Relaxed)]
            };
            until("all have begun", || now().iter().all(|bytes| *bytes > 0)).await;
            scope.spawn(|| {
                let mut hoards = Vec::new();
                eventually("others were ended", || {
                    hoards.push(hoard(edge.addr()));
                    (ended(&edge) > 8.0 * f64::from(STREAMS)).then_some(())
                });
                is_enough.store(true, Relaxed);
            });
            until("others were ended", || is_enough.load(Relaxed)).await;
            let before = now();
            until("all go on", || now().iter().zip(before).all(|(now, before)| *now > before))
                .await;
            is_over.set(true);
            trickle_is_over.store(true, Relaxed);
            for work in works {
                work.await.expect("no panic");
            }
        });
    });
}
