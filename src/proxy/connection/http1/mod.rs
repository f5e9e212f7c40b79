//! A conversation in HTTP/1.1, and what the connection may be handed over to.
//!
//! One task reads a head, has it answered, and writes the answer; a body is read by the task that writes it on the other
//! side. An idle connection holds no buffer.
//!
//! **Invariant**: the bytes of a request are never taken for those of another: a body that has not come to its end, or
//! breaks its framing, ends the connection.

mod client;
mod head;
mod response;
#[cfg(test)]
mod tests;
mod upload;

use super::count_evicted;
use super::linger::linger;
use crate::error::Reason;
use crate::http::{ClientSocket, answer_bytes, first_line};
use crate::net::deadline::Phase;
use crate::net::http1::{BrokenBody, Gathered};
use crate::net::message;
use crate::proxy::Downstream;
use crate::proxy::request::{self, MOST_OF_REST, ResponseBody, TunnelSlot};
use client::{Client, NoRequest, State};
use head::RequestHead;
use http::Version;
use response::{Asked, Response};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;
use upload::RequestSource;

/// How long the end of an answer may take to leave when its connection has to make room.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// The most bytes of a body that nobody wants which are read, so that its connection can go on.
const DRAINED: usize = 64 * 1024;

/// How long the client has to send the rest of a body behind its answer.
const REST_LIMIT: Duration = Duration::from_secs(5);

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// By the rules of HTTP: nothing more is to be said.
    Through,
    /// The client has ended it, or it has failed.
    Gone,
    /// The answer broke off. `true`: its client can tell that only by a reset.
    Broken(bool),
    /// The request cannot be read.
    Refused(Reason),
    /// It was in this phase for too long.
    Expired(Phase),
    /// It has to make room for another one.
    Evicted,
    /// Memory is short, and the request has stalled.
    Stalled,
}

/// Speaks HTTP/1.1 until the connection ends.
pub(super) async fn serve(downstream: Rc<Downstream>, socket: ClientSocket) {
    let client = Client::new(Rc::clone(&downstream), socket);
    let tunnel = TunnelSlot::default();
    let end = loop {
        let head = match poll_fn(|cx| next(&client, cx)).await {
            Ok(head) => head,
            Err(end) => break end,
        };
        // On the heap, where it is only while there is one: most connections are idle most of the time.
        if let Err(end) = Box::pin(exchange(&client, head, &tunnel)).await {
            break end;
        }
        if let Some(tunnel) = tunnel.take() {
            // Nobody reads a body: there is none.
            if let Ok(client) = Rc::try_unwrap(client) {
                let (socket, early) = client.into_socket();
                Box::pin(tunnel.relay(socket, early)).await;
            }
            return;
        }
    };
    tracing::debug!(peer = %downstream.peer, ?end, "connection ended");
    let lingers = close(&client, &end);
    if lingers && let Ok(client) = Rc::try_unwrap(client) {
        Box::pin(linger(&downstream, client.into_socket().0)).await;
    }
}

/// Waits for the next request.
fn next(client: &Client, cx: &mut Context<'_>) -> Poll<Result<RequestHead, End>> {
    let watch = &client.downstream.watch;
    watch.register(cx);
    let ended = |end| Poll::Ready(Err(end));
    if let Some(phase) = watch.expired() {
        return ended(End::Expired(phase));
    }
    // A request that is here comes first.
    match client.with(|state| state.poll_head(cx, &client.downstream)) {
        Poll::Ready(Ok(head)) => return Poll::Ready(Ok(head)),
        Poll::Ready(Err(NoRequest::Closed)) => return ended(End::Gone),
        Poll::Ready(Err(NoRequest::Refused(reason))) => return ended(End::Refused(reason)),
        Poll::Pending => {}
    }
    if watch.ends_early() {
        return ended(End::Stalled);
    }
    let is_idle = watch.phase() == Phase::Idle;
    if watch.is_evicted() {
        // The worker hears of a request a little later than the kernel.
        if is_idle && client.with(|state| state.socket.has_arrived()) {
            watch.stay();
            return Poll::Pending;
        }
        return ended(End::Evicted);
    }
    if is_idle && client.downstream.closes_idle() {
        return ended(End::Through);
    }
    Poll::Pending
}

/// Has a request answered. Errors if there can be no other behind it.
async fn exchange(client: &Rc<Client>, head: RequestHead, tunnel: &TunnelSlot) -> Result<(), End> {
    let RequestHead { request, keeps_alive, bytes, .. } = head;
    let method = request.method().clone();
    let asked = Asked { method, version: request.version(), keeps_alive };
    let mut request = request.map(|()| RequestSource::of(client));
    if asked.version == Version::HTTP_11 {
        let sink: Weak<Client> = Rc::downgrade(client);
        request.set_interim(Some(sink));
    }
    let downstream = &client.downstream;
    let mut response = {
        let watch = Rc::clone(&downstream.watch);
        let mut answering = pin!(request::forward(downstream, watch, tunnel, request, Some(bytes)));
        let answer = poll_fn(|cx| answer(client, answering.as_mut(), cx)).await?;
        let (head, body) = answer.into_parts();
        let (response, fields) =
            Response::begin(head, body, &asked, &mut client.output.borrow_mut());
        client.with(|state| state.input.fields = fields);
        response
    };
    let mut tail = Tail::default();
    poll_fn(|cx| write(client, &mut response, &mut tail, cx)).await?;
    let Response { keeps_alive, .. } = response;
    drop(response);
    if tunnel.borrow().is_some() {
        return Ok(());
    }
    if tail.waited {
        downstream.watch.enter(Phase::Idle, downstream.worker.config.timeouts.downstream_idle);
    }
    let goes_on = keeps_alive
        && !tail.leaves
        && match client.with(|state| state.drain(DRAINED)) {
            Poll::Ready(is_read) => is_read,
            Poll::Pending => Box::pin(ends_soon(client)).await,
        };
    client.with(State::rest);
    if goes_on { Ok(()) } else { Err(End::Through) }
}

/// Reads the rest of a body that nobody wants. Returns whether it has ended, in time and within bounds: closed in the
/// middle of it, the connection would take a request with it that is on its way already.
async fn ends_soon(client: &Client) -> bool {
    let watch = &client.downstream.watch;
    if client.with(|state| state.left().is_some_and(|left| left > MOST_OF_REST)) {
        return false;
    }
    watch.enter(Phase::Idle, REST_LIMIT);
    let mut left = usize::try_from(MOST_OF_REST).unwrap_or(usize::MAX);
    let ended = poll_fn(|cx| {
        watch.register(cx);
        let has_to_go = watch.expired().is_some() || watch.is_evicted() || watch.ends_early();
        if has_to_go || client.downstream.closes_idle() {
            return Poll::Ready(false);
        }
        client.with(|state| state.poll_rest(&mut left, cx))
    });
    let ended = ended.await;
    watch.enter(Phase::Idle, client.downstream.worker.config.timeouts.downstream_idle);
    ended
}

/// Waits for an answer, or the end of the connection.
fn answer<F>(
    client: &Client,
    answering: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<Result<message::Response<ResponseBody>, End>>
where
    F: Future<Output = Result<message::Response<ResponseBody>, Infallible>>,
{
    let watch = &client.downstream.watch;
    watch.register(cx);
    match watch.expired() {
        // The request itself answers that it took too long.
        None | Some(Phase::Exchange) => {}
        Some(phase) => return Poll::Ready(Err(End::Expired(phase))),
    }
    if let Poll::Ready(Ok(answer)) = answering.poll(cx) {
        return Poll::Ready(Ok(answer));
    }
    if client.with(|state| state.poll_end(cx)).is_ready() {
        return Poll::Ready(Err(End::Gone));
    }
    if watch.ends_early() { Poll::Ready(Err(End::Stalled)) } else { Poll::Pending }
}

/// How the last bytes of an answer leave.
#[derive(Debug, Default)]
struct Tail {
    /// They had to wait, after the exchange was over.
    waited: bool,
    /// The connection ends behind them.
    leaves: bool,
}

/// Writes an answer to its end.
fn write(
    client: &Client,
    response: &mut Response,
    tail: &mut Tail,
    cx: &mut Context<'_>,
) -> Poll<Result<(), End>> {
    let Downstream { worker, watch, .. } = &*client.downstream;
    watch.register(cx);
    if let Some(phase) = watch.expired().filter(|phase| *phase != Phase::Exchange) {
        return Poll::Ready(Err(End::Expired(phase)));
    }
    tail.leaves |= client.downstream.closes_idle();
    let written = send(client, response, cx);
    if written.is_ready() {
        return written;
    }
    if !response.is_ended() && client.with(|state| state.poll_end(cx)).is_ready() {
        return Poll::Ready(Err(End::Gone));
    }
    if watch.ends_early() && client.with(|state| state.acknowledges(&client.downstream)) {
        watch.spare();
    }
    if watch.ends_early() {
        return Poll::Ready(Err(End::Stalled));
    }
    if response.is_ended() && watch.phase() == Phase::Idle {
        // The exchange is over, and a client that does not read the end of it is not idle.
        if !std::mem::replace(&mut tail.waited, true) {
            watch.extend(worker.config.timeouts.body_progress);
        }
        if watch.is_evicted() && !tail.leaves {
            count_evicted(&client.downstream);
            watch.extend(LAST_BYTES);
            tail.leaves = true;
        }
    }
    Poll::Pending
}

/// Writes as much of an answer as the client takes.
fn send(client: &Client, response: &mut Response, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
    let output = &mut *client.output.borrow_mut();
    loop {
        let gathered = response.gather(cx, output);
        let written = client.with(|state| {
            ready!(output.poll_write(cx, &mut state.socket))?;
            Pin::new(&mut state.socket).poll_flush(cx)
        });
        match (gathered, written) {
            // What came before the end is the client's anyway.
            (Err(BrokenBody), _) => return Poll::Ready(Err(End::Broken(response.ends_by_close()))),
            (_, Poll::Pending) => return Poll::Pending,
            (_, Poll::Ready(Err(_))) => return Poll::Ready(Err(End::Gone)),
            (Ok(Gathered::All), _) => break,
            (Ok(Gathered::SoFar), _) => return Poll::Pending,
            (Ok(Gathered::Enough), _) => {}
        }
    }
    output.rest();
    Poll::Ready(Ok(()))
}

/// Ends a connection. Returns whether its client may still be sending, or has to be waited for.
fn close(client: &Client, end: &End) -> bool {
    let downstream = &*client.downstream;
    let cells = &downstream.worker.cells.listeners[downstream.listener];
    match end {
        End::Through => {
            client.with(|state| state.socket.try_end(&[]));
            client.with(|state| !state.input.bytes.is_empty() || !state.is_read())
                || downstream.unread.get()
        }
        End::Gone => false,
        End::Broken(resets) => {
            if *resets {
                client.with(|state| state.socket.reset_at_end());
            }
            false
        }
        End::Refused(reason) => {
            refuse(client, *reason);
            *reason != Reason::MemoryExhausted
        }
        // The exchange, which has been dropped, says who stalled.
        End::Expired(Phase::Exchange | Phase::Response) => false,
        End::Expired(phase) => {
            cells.idle_closed.add(1);
            end_waiting(client, *phase, Reason::RequestTimeout);
            false
        }
        End::Evicted => {
            count_evicted(downstream);
            end_waiting(client, downstream.watch.phase(), Reason::RequestTimeout);
            false
        }
        End::Stalled => {
            give_up(client);
            false
        }
    }
}

/// Ends a connection that waits for a request, or for the rest of one.
fn end_waiting(client: &Client, phase: Phase, reason: Reason) {
    if phase == Phase::Head {
        refuse(client, reason);
    } else {
        client.with(|state| state.socket.try_end(&[]));
    }
}

/// Answers a request that could not be read, and records it.
fn refuse(client: &Client, reason: Reason) {
    client.with(|state| {
        state.socket.try_end(&answer_bytes(reason));
        request::record_unread(&client.downstream, reason, first_line(&state.input.bytes));
    });
}

/// Ends a connection whose memory others need. What has been answered in part is reset: the kernel would
/// keep what its client does not read.
fn give_up(client: &Client) {
    let watch = &client.downstream.watch;
    watch.count_ended_early();
    match watch.phase() {
        Phase::Response => client.with(|state| state.socket.reset_at_end()),
        Phase::Head => refuse(client, Reason::MemoryReclaimed),
        // The exchange has said so.
        _ => client.with(|state| state.socket.try_end(&answer_bytes(Reason::MemoryReclaimed))),
    }
}
