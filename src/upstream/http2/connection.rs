//! A connection that the requests of a worker share, and the task that drives it.
//!
//! No periodic PING is sent: gRPC servers take a client that sends more than one in five minutes
//! for an abuser and close its connection (gRFC A8). One is sent when a request was given up and
//! nothing at all had come in since it was sent; a peer that leaves that unanswered is gone.

use super::resets::Resets;
use crate::error::Reason;
use crate::net::addr::EndpointAddr;
use crate::upstream::body::Piece;
use crate::upstream::connect::{self, EndpointStream, MOST_ANSWER_FIELDS, RESPONSE_HEAD_BYTES};
use crate::upstream::socket::Record;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use http::uri::Scheme;
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::io::InspectReader;

/// The receive window of a stream, in bytes: that of downstream streams, so that
/// neither side waits for the other's.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The receive window of a connection, in bytes.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The bytes by which a header list is longer than the same head in HTTP/1.1: 32 for each field (RFC 9113
/// section 6.5.2).
#[expect(clippy::cast_possible_truncation, reason = "a small number")]
const LIST_OVERHEAD: u32 = 32 * MOST_ANSWER_FIELDS as u32;
/// The widest window of a connection (RFC 9113 section 6.9.1).
const MOST_WINDOW: u32 = (1 << 31) - 1;
/// The most that h2 may hold of one request's body, in bytes.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams where the peer does not say how many it takes; it is to take 100 at least (RFC 9113
/// section 6.5.2).
const FIRST_STREAMS: usize = 100;
/// Streams on one connection, whatever the peer allows: at 200 Cloudflare's own have as many.
const MOST_STREAMS: usize = 200;
/// How long a peer may take to answer a PING: many times the round trip in any cluster.
const PONG: Duration = Duration::from_secs(5);
/// How long an unused connection may take to close gracefully.
const GOODBYE: Duration = Duration::from_secs(5);

/// A connection as long as requests may use it.
#[derive(Debug)]
pub(super) struct Shared {
    sender: SendRequest<Piece>,
    /// Asks whether it is open, by a method that wants it as its own. It has no stream, ever.
    asker: RefCell<SendRequest<Piece>>,
    scheme: Scheme,
    streams: Cell<usize>,
    /// When the last stream ended, on the worker's clock.
    since_ms: Cell<u64>,
    /// The pool has forgotten it.
    left: Cell<bool>,
    life: Rc<Life>,
    record: Arc<Record>,
    resets: Rc<Resets>,
    /// Dropped to tell the driver that no further stream will be requested.
    _last: oneshot::Sender<()>,
}

/// State that the driver and the requests share.
#[derive(Debug, Default)]
pub(super) struct Life {
    closed: Cell<bool>,
    reads: Cell<u64>,
    /// Signalled when the peer has spoken for the first time, or the connection is closed.
    begun: Notify,
    probe: Notify,
    /// Bytes that came on streams which are given up, and whose windows are not opened again.
    held: Cell<u32>,
    driver: RefCell<Option<Waker>>,
}

impl Life {
    /// Widens the connection's window by so many bytes.
    pub(super) fn hold(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.held.set(self.held.get().saturating_add(bytes));
        if let Some(driver) = &*self.driver.borrow() {
            driver.wake_by_ref();
        }
    }

    /// Notes that something has come in.
    pub(super) fn note_read(&self) {
        self.reads.set(self.reads.get().wrapping_add(1));
        self.begun.notify_one();
    }

    fn close(&self) {
        self.closed.set(true);
        self.begun.notify_one();
    }
}

impl Shared {
    /// Begins HTTP/2 on a stream, and waits for the peer's settings, which are the first that it
    /// sends (RFC 9113 section 3.4): how many streams it takes is in them.
    pub(super) async fn open(
        addr: EndpointAddr,
        stream: EndpointStream,
        now_ms: u64,
    ) -> Result<Self, Reason> {
        let (scheme, record) = (connect::scheme(&stream), stream.record());
        let life = Rc::new(Life::default());
        let (sender, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(FIRST_STREAMS)
            .max_header_list_size(RESPONSE_HEAD_BYTES + LIST_OVERHEAD)
            .max_send_buffer_size(SEND_BUFFER)
            .enable_push(false)
            .handshake::<_, Piece>(heard_by(stream, Rc::clone(&life)))
            .await
            .map_err(|_| Reason::UpstreamClosed)?;
        let (last, nobody) = oneshot::channel();
        tokio::task::spawn_local(drive(addr, connection, Rc::clone(&life), nobody));
        // The driver that has read something has understood it as well when this task runs again.
        life.begun.notified().await;
        match (life.closed.get(), life.reads.get()) {
            (false, _) => {}
            (true, 0) => return Err(Reason::UpstreamClosed),
            (true, _) => return Err(Reason::UpstreamMalformed),
        }
        Ok(Self {
            asker: RefCell::new(sender.clone()),
            sender,
            scheme,
            streams: Cell::new(0),
            since_ms: Cell::new(now_ms),
            left: Cell::new(false),
            record,
            resets: Resets::new(Rc::clone(&life), Instant::now()),
            life,
            _last: last,
        })
    }

    pub(super) fn sender(&self) -> SendRequest<Piece> {
        self.sender.clone()
    }

    /// The resets that it passes on.
    pub(super) fn resets(&self) -> &Rc<Resets> {
        &self.resets
    }

    /// The record of its socket.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Whether new streams may be opened, now or later: neither closed nor going away.
    pub(super) fn is_open(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let asked = self.asker.borrow_mut().poll_ready(&mut context);
        !self.life.closed.get() && !self.resets.is_spent() && !matches!(asked, Poll::Ready(Err(_)))
    }

    /// Whether another stream can be opened at once.
    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < self.sender.current_max_send_streams().min(MOST_STREAMS)
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    pub(super) fn since_ms(&self) -> u64 {
        self.since_ms.get()
    }

    /// Notes that the pool has forgotten it.
    pub(super) fn leave(&self) {
        self.left.set(true);
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.get()
    }

    pub(super) fn begin(&self) {
        self.streams.set(self.streams.get() + 1);
    }

    /// `now_ms` is the worker's clock.
    pub(super) fn end(&self, now_ms: u64) {
        self.streams.set(self.streams.get().saturating_sub(1));
        self.since_ms.set(now_ms);
    }

    /// How often something has come in.
    pub(super) fn read_count(&self) -> u64 {
        self.life.reads.get()
    }

    /// Asks the peer for a sign of life.
    pub(super) fn probe(&self) {
        self.life.probe.notify_one();
    }
}

/// A stream whose reads are noted, if they brought something.
fn heard_by(
    stream: EndpointStream,
    life: Rc<Life>,
) -> InspectReader<EndpointStream, impl FnMut(&[u8])> {
    InspectReader::new(stream, move |read: &[u8]| {
        if !read.is_empty() {
            life.note_read();
        }
    })
}

async fn drive(
    addr: EndpointAddr,
    mut connection: Connection<impl AsyncRead + AsyncWrite + Unpin, Piece>,
    life: Rc<Life>,
    nobody: oneshot::Receiver<()>,
) {
    let ping = connection.ping_pong();
    let goodbye = async {
        // Resolves with an error, which is the message.
        let _ = nobody.await;
        sleep(GOODBYE).await;
    };
    let mut window = CONNECTION_WINDOW;
    let running = poll_fn(|cx| {
        let wanted = CONNECTION_WINDOW.saturating_add(life.held.get()).min(MOST_WINDOW);
        if wanted > window {
            window = wanted;
            connection.set_target_window_size(window);
        }
        *life.driver.borrow_mut() = Some(cx.waker().clone());
        Pin::new(&mut connection).poll(cx)
    });
    tokio::select! {
        ended = running => if let Err(error) = ended {
            tracing::debug!(%addr, %error, "connection to an endpoint ended");
        },
        () = silence(ping, &life.probe) => {
            tracing::info!(%addr, "an endpoint no longer responds; its connection is closed");
        }
        () = goodbye => {}
    }
    life.close();
}

/// Resolves when the peer has left a PING unanswered.
async fn silence(ping: Option<PingPong>, probe: &Notify) {
    // It is there once for each connection.
    let Some(mut ping) = ping else {
        return pending().await;
    };
    loop {
        probe.notified().await;
        if timeout(PONG, ping.ping(Ping::opaque())).await.is_err() {
            return;
        }
    }
}
