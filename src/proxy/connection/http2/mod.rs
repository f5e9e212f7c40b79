//! A conversation in HTTP/2, by h2: its streams have deadlines of their own.
//!
//! One task reads and writes frames, and each stream has one that answers its request.

mod body;
mod interim;
mod reply;
mod server;

use super::count_evicted;
use super::linger::linger;
use crate::http::{self as stage, ClientSocket, FollowedFrames, HeadDeadline, Streams};
use crate::net::deadline::{Phase, Watch};
use crate::proxy::Downstream;
use crate::telemetry::ListenerCells;
use crate::tls::Session;
use server::Server;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// How long the client of an idle HTTP/2 connection has to take note of our GOAWAY.
const GOAWAY_LIMIT: Duration = Duration::from_secs(2);

/// The limit while another connection waits for its place.
const MAKE_ROOM_LIMIT: Duration = Duration::from_millis(500);

/// Speaks HTTP/2 until the connection ends.
pub(super) async fn serve(downstream: Rc<Downstream>, streams: &Rc<Streams>, socket: ClientSocket) {
    let Downstream { worker, watch, .. } = &*downstream;
    let (head, frames) = follow(&downstream, streams, socket);
    let lent = frames.lent();
    let mut server = Server::new(&downstream, streams, frames);
    let cells = &worker.cells.listeners[downstream.listener];
    let mut has_limit = false;
    let is_orderly = poll_fn(|cx| {
        watch.register(cx);
        head.register(cx);
        if is_over_for(&head, cells) {
            return Poll::Ready(false);
        }
        if watch.expired().is_some() && streams.is_empty() {
            if server.leaves() {
                return Poll::Ready(true);
            }
            cells.idle_closed.add(1);
            watch.enter(Phase::Idle, GOAWAY_LIMIT);
            server.leave();
        }
        if !server.leaves() && streams.is_empty() && is_evicted(&downstream) {
            server.leave();
        }
        let is_over = (downstream.closes_idle() || streams.is_hoard()) && streams.is_empty();
        // It ends by itself when its last answer is flushed and GOAWAY is confirmed, or after a while.
        if is_over && !has_limit {
            watch.enter(Phase::Idle, GOAWAY_LIMIT);
        }
        has_limit = is_over;
        if is_flood(&downstream, streams) {
            return Poll::Ready(false);
        }
        if is_to_go(&downstream, streams, is_over) {
            server.leave();
        }
        server.poll(cx).map(|result| ended(&downstream, result))
    })
    .await;
    drop(server);
    // h2 closes once every stream has its answer, whether or not a client has sent the rest of its body.
    if let Some(socket) = lent.take_back().filter(|_| streams.close() && is_orderly) {
        Box::pin(linger(&downstream, socket)).await;
    }
}

/// Whether the client resets too many streams, which is counted.
fn is_flood(downstream: &Downstream, streams: &Streams) -> bool {
    let is_flood = streams.is_flood();
    if is_flood {
        tracing::debug!(peer = %downstream.peer, "client resets too many streams");
        downstream.worker.cells.listeners[downstream.listener].reset_floods.add(1);
    }
    is_flood
}

/// Follows the frames of a connection. The watch is that of its heads.
fn follow(
    downstream: &Downstream,
    streams: &Rc<Streams>,
    socket: ClientSocket,
) -> (Rc<Watch>, FollowedFrames) {
    let Downstream { worker, account, .. } = downstream;
    let timeouts = &worker.config.timeouts;
    let head = worker.deadlines.watch(timeouts.downstream_idle);
    head.set_account(account);
    let deadline = HeadDeadline { watch: Rc::clone(&head), limit: timeouts.request_head };
    let turn = worker.head_turns.none();
    let stream = FollowedFrames::new(socket, deadline, turn, streams);
    (head, stream)
}

/// Whether a head has taken too long, or holds what others need.
fn is_over_for(head: &Watch, cells: &ListenerCells) -> bool {
    if head.ends_early() {
        head.count_ended_early();
        return true;
    }
    let is_late = head.expired().is_some();
    if is_late {
        cells.idle_closed.add(1);
    }
    is_late
}

/// Whether the connection has to make room for another one; it has a little time to take note.
fn is_evicted(downstream: &Downstream) -> bool {
    let is_evicted = downstream.watch.is_evicted();
    if is_evicted {
        count_evicted(downstream);
        downstream.watch.enter(Phase::Idle, MAKE_ROOM_LIMIT);
    }
    is_evicted
}

/// Notes why a connection has ended, if there is anything to say. Returns whether the client is owed an orderly
/// end: not for a flood.
fn ended(downstream: &Downstream, result: Result<(), h2::Error>) -> bool {
    let Err(error) = result else { return true };
    let is_flood = stage::is_flood(&error);
    if is_flood {
        downstream.worker.cells.listeners[downstream.listener].reset_floods.add(1);
    }
    tracing::debug!(peer = %downstream.peer, %error, "connection ended");
    !is_flood
}

/// Whether the client has to be told to close. GOAWAY loses no request: the client knows which
/// ones are served still. But one who has just connected has his first request on its way, and may take
/// the end for a failure to connect; `is_over` says that he has had his time.
fn is_to_go(downstream: &Downstream, streams: &Streams, is_over: bool) -> bool {
    let is_outdated = downstream.tls.as_ref().is_some_and(Session::is_outdated);
    is_outdated
        || is_over
        || streams.is_overdrawn()
        || streams.is_hoard()
        || (downstream.is_draining() && streams.has_begun())
}
