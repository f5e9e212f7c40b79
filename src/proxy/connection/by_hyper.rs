//! A conversation in HTTP/1.1 by hyper, as before `http1`: kept for one version, behind `http1 = "hyper"`.

use super::count_evicted;
use super::linger::linger;
use crate::error::Reason;
use crate::http::{self as stage, ClientSocket, ClientStream, Notes};
use crate::net::deadline::Phase;
use crate::net::message;
use crate::proxy::Downstream;
use crate::proxy::request::{self, ResponseBody, TunnelSlot, forward};
use crate::upstream::body::ClientBody;
use bytes::Bytes;
use futures_util::TryFutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Connection;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How long the end of an answer may take to leave when its connection has to make room.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// Why nothing more is asked of hyper.
enum Pause {
    /// The connection has ended by HTTP's own rules, or by an error of the socket.
    Closed,
    /// We end it.
    Ended(End),
    /// It has been idle for a while.
    Resting,
    /// There is no memory for the rest of its request head.
    Short,
}

/// Why we end a connection.
enum End {
    /// It was in this phase for too long.
    Expired(Phase),
    /// It has to make room for another one.
    Evicted,
    /// Memory is short, and the request has stalled.
    Stalled,
}

/// A request that hyper has read.
fn of_hyper(request: Request<Incoming>) -> message::Request<ClientBody> {
    message::Request::from(request).map(ClientBody::Hyper)
}

/// The socket as hyper gets it.
fn client_stream(downstream: &Downstream, socket: ClientSocket, notes: &Rc<Notes>) -> ClientStream {
    let Downstream { worker, watch, .. } = downstream;
    let (limit, turns) = (worker.config.timeouts.request_head, worker.body_turns.clone());
    ClientStream::new(socket, Rc::clone(watch), limit, Rc::clone(notes), turns)
}

/// Speaks HTTP/1.1 until the connection ends.
pub(super) async fn serve(downstream: Rc<Downstream>, socket: ClientSocket) {
    let worker = &downstream.worker;
    let notes = Rc::new(Notes::new(Arc::clone(&downstream.account)));
    let mut stream = client_stream(&downstream, socket, &notes);
    let tunnel = TunnelSlot::default();
    let mut service = {
        let (downstream, notes) = (Rc::clone(&downstream), Rc::clone(&notes));
        let tunnel = Rc::clone(&tunnel);
        service_fn(move |request: Request<Incoming>| {
            let bytes = notes.begin(&request);
            let (watch, request) = (Rc::clone(&downstream.watch), of_hyper(request));
            forward(&downstream, watch, &tunnel, request, Some(bytes)).map_ok(http::Response::from)
        })
    };
    let server = stage::server(worker.config.limits.header_block);
    loop {
        let mut connection = server.serve_connection(TokioIo::new(stream), service);
        let pause = go_on(&downstream, &notes, &mut connection).await;
        let mut parts = connection.into_parts();
        let (mut io, mut lingers) = (parts.io.into_inner(), false);
        let end = match pause {
            Pause::Closed => {
                if let Some(tunnel) = tunnel.take() {
                    // The rest of the connection's state would outlive its use by hours.
                    drop(parts.service);
                    let (socket, early) = io.into_socket(parts.read_buf);
                    Box::pin(tunnel.relay(socket, early)).await;
                    return;
                }
                lingers = has_unread(&downstream, &notes, &io, &parts.read_buf);
                None
            }
            Pause::Ended(end) => Some(end),
            Pause::Short => return refuse(&downstream, &mut io, &parts.read_buf),
            Pause::Resting => {
                io.put_back(std::mem::take(&mut parts.read_buf));
                match rest(&downstream, &io).await {
                    None => {
                        (stream, service) = (io, parts.service);
                        continue;
                    }
                    ended => ended,
                }
            }
        };
        if stays(&downstream, end.as_ref(), &io) {
            (stream, service) = (io, parts.service);
            continue;
        }
        let refused = end.and_then(|end| close(&downstream, &end, &mut io));
        if let Some(reason) = refused.or(notes.refused.get()) {
            request::record_unread(&downstream, reason, io.refused_line(&parts.read_buf));
        }
        if lingers {
            drop(parts.service);
            Box::pin(linger(&downstream, io.into_socket(Bytes::new()).0)).await;
        }
        return;
    }
}

/// Whether something of a request is left that nobody reads: its body, or what is pipelined behind its
/// answer, of which `read` is with hyper.
fn has_unread(downstream: &Downstream, notes: &Notes, stream: &ClientStream, read: &[u8]) -> bool {
    let is_pipelined = !read.is_empty() || stream.has_unread();
    is_pipelined || downstream.unread.get() || notes.refused.get().is_some()
}

/// Keeps a connection that was chosen to make room, if it is no longer idle: the worker hears of a request a
/// little later than the kernel.
fn stays(downstream: &Downstream, end: Option<&End>, stream: &ClientStream) -> bool {
    let is_idle = matches!(end, Some(End::Evicted)) && downstream.watch.phase() == Phase::Idle;
    let stays = is_idle && stream.has_arrived();
    if stays {
        downstream.watch.stay();
    }
    stays
}

/// Ends a connection for whose request head there is no memory. `unread` is what hyper has of it.
fn refuse(downstream: &Downstream, stream: &mut ClientStream, unread: &[u8]) {
    stream.try_answer(Reason::MemoryExhausted);
    let line = stream.refused_line(unread);
    request::record_unread(downstream, Reason::MemoryExhausted, line);
}

/// Lets hyper serve requests, until there is something else to do.
async fn go_on<S>(
    downstream: &Downstream,
    notes: &Notes,
    connection: &mut Connection<TokioIo<ClientStream>, S>,
) -> Pause
where
    S: HttpService<Incoming, ResBody = ResponseBody, Error = Infallible>,
{
    let Downstream { watch, .. } = downstream;
    let (mut leaving, mut is_unread) = (false, false);
    poll_fn(|cx| {
        watch.register(cx);
        match watch.expired() {
            // The request itself answers that it took too long.
            None | Some(Phase::Exchange) => {}
            Some(phase) => return Poll::Ready(Pause::Ended(End::Expired(phase))),
        }
        let mut polled = Pin::new(&mut *connection).poll(cx);
        // Unless it has moved in this look.
        if watch.ends_early() && polled.is_pending() {
            return Poll::Ready(Pause::Ended(End::Stalled));
        }
        if notes.short.get() {
            return Poll::Ready(Pause::Short);
        }
        // After a look at what has come: a request that is here is not idle.
        let is_over = downstream.closes_idle() || watch.is_evicted();
        if is_over && !leaving && polled.is_pending() {
            if watch.is_evicted() {
                // Nothing of an answer is left to send.
                if !notes.requested.get() {
                    return Poll::Ready(Pause::Ended(End::Evicted));
                }
                count_evicted(downstream);
                watch.extend(LAST_BYTES);
            }
            leaving = true;
            // Closes at once if nothing is under way, else after the answer.
            Pin::new(&mut *connection).graceful_shutdown();
            polled = Pin::new(&mut *connection).poll(cx);
        }
        let Poll::Pending = polled else {
            if let Poll::Ready(Err(error)) = polled {
                tracing::debug!(peer = %downstream.peer, %error, "connection ended");
            }
            return Poll::Ready(Pause::Closed);
        };
        if leaving || !watch.is_resting() {
            return Poll::Pending;
        }
        let was_unread = std::mem::replace(&mut is_unread, notes.requested.get());
        may_rest(downstream, is_unread, was_unread)
    })
    .await
}

/// Whether a connection that has been idle for a while rests: the last answer has left to its last byte,
/// and nothing has come since. A client that does not read the end of it is not idle.
fn may_rest(downstream: &Downstream, is_unread: bool, was_unread: bool) -> Poll<Pause> {
    let (watch, timeouts) = (&downstream.watch, &downstream.worker.config.timeouts);
    if is_unread {
        if !was_unread {
            watch.extend(timeouts.body_progress);
        }
        return Poll::Pending;
    }
    if was_unread {
        watch.extend(timeouts.downstream_idle);
    }
    Poll::Ready(Pause::Resting)
}

/// Waits for the next request without the 16 KiB of buffers that hyper keeps for one: most connections
/// of Cloudflare are idle most of the time, for up to a quarter of an hour. When the process closes what is
/// idle, hyper is to do it. Returns why the connection ends instead, if it does.
async fn rest(downstream: &Downstream, stream: &ClientStream) -> Option<End> {
    let watch = &downstream.watch;
    poll_fn(|cx| {
        watch.register(cx);
        if let Some(phase) = watch.expired() {
            return Poll::Ready(Some(End::Expired(phase)));
        }
        if downstream.closes_idle() || stream.poll_readable(cx).is_ready() {
            return Poll::Ready(None);
        }
        if watch.is_evicted() { Poll::Ready(Some(End::Evicted)) } else { Poll::Pending }
    })
    .await
}

/// Ends a connection that has been in a phase for too long, or has to make room. Returns why its
/// request could not be read, if it was about to be.
fn close(downstream: &Downstream, end: &End, stream: &mut ClientStream) -> Option<Reason> {
    let phase = match end {
        End::Expired(Phase::Exchange | Phase::Response) => {
            // The exchange, which has been dropped with the service, says who stalled.
            return None;
        }
        End::Expired(phase) => {
            downstream.worker.cells.listeners[downstream.listener].idle_closed.add(1);
            *phase
        }
        End::Evicted => {
            count_evicted(downstream);
            downstream.watch.phase()
        }
        End::Stalled => return give_up(downstream, stream),
    };
    if phase == Phase::Head {
        stream.try_answer(Reason::RequestTimeout);
        return Some(Reason::RequestTimeout);
    }
    stream.try_close();
    None
}

/// Ends a connection whose memory others need. What has been answered in part is reset: the kernel would
/// keep what its client does not read. Returns why its request could not be read, if it was about to be.
fn give_up(downstream: &Downstream, stream: &mut ClientStream) -> Option<Reason> {
    let reason = Reason::MemoryReclaimed;
    downstream.watch.count_ended_early();
    match downstream.watch.phase() {
        Phase::Response => {
            stream.reset_at_end();
            None
        }
        Phase::Head => {
            stream.try_answer(reason);
            Some(reason)
        }
        _ => {
            // The exchange has said so.
            stream.try_answer(reason);
            None
        }
    }
}
