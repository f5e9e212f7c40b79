//! A conversation in HTTP/1.1, and what the connection may be handed over to.

use crate::deadline::Phase;
use crate::error::Reason;
use crate::forward::{self, Downstream, ResponseBody, TunnelSlot};
use crate::http::{self as stage, ClientSocket, ClientStream, Notes};
use hyper::body::Incoming;
use hyper::server::conn::http1::Connection;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// Why nothing more is asked of hyper.
enum Pause {
    /// The connection has ended by HTTP's own rules, or by an error of the socket.
    Closed,
    /// It was in this phase for too long.
    Expired(Phase),
    /// It has been idle for a while.
    Resting,
}

/// Speaks HTTP/1.1 until the connection ends.
pub(super) async fn converse(downstream: Rc<Downstream>, socket: ClientSocket) {
    let worker = &downstream.worker;
    let notes = Rc::new(Notes::default());
    let head_limit = worker.config.timeouts.request_head;
    let watch = Rc::clone(&downstream.watch);
    let mut stream = ClientStream::new(socket, watch, head_limit, Rc::clone(&notes));
    let tunnel = TunnelSlot::default();
    let mut service = {
        let (downstream, notes, tunnel) =
            (Rc::clone(&downstream), Rc::clone(&notes), Rc::clone(&tunnel));
        service_fn(move |request| {
            notes.requested.set(true);
            forward::forward(&downstream, &tunnel, request)
        })
    };
    let server = stage::server(worker.config.limits.header_block);
    loop {
        let mut connection = server.serve_connection(TokioIo::new(stream), service);
        let pause = go_on(&downstream, &notes, &mut connection).await;
        let parts = connection.into_parts();
        let mut io = parts.io.into_inner();
        let expired = match pause {
            Pause::Closed => {
                if let Some(tunnel) = tunnel.take() {
                    // The rest of the connection's state would outlive its use by hours.
                    drop(parts.service);
                    Box::pin(tunnel.relay(io.into_socket(), parts.read_buf)).await;
                    return;
                }
                None
            }
            Pause::Expired(phase) => Some(phase),
            Pause::Resting => {
                io.put_back(parts.read_buf);
                match rest(&downstream, &io).await {
                    None => {
                        (stream, service) = (io, parts.service);
                        continue;
                    }
                    ended => ended,
                }
            }
        };
        let refused = expired.and_then(|phase| expire(&downstream, phase, &mut io));
        if let Some(reason) = refused.or(notes.refused.get()) {
            forward::record_unread(&downstream, reason);
        }
        return;
    }
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
    let Downstream { worker, watch, .. } = downstream;
    let mut leaving = false;
    poll_fn(|cx| {
        watch.register(cx);
        match watch.expired() {
            // The request itself answers that it took too long.
            None | Some(Phase::Exchange) => {}
            Some(phase) => return Poll::Ready(Pause::Expired(phase)),
        }
        let mut polled = Pin::new(&mut *connection).poll(cx);
        // After a look at what has come: a request that is here is not idle.
        if worker.closing_idle.get() && !leaving && polled.is_pending() {
            leaving = true;
            // Closes at once if nothing is under way, else after the answer.
            Pin::new(&mut *connection).graceful_shutdown();
            polled = Pin::new(&mut *connection).poll(cx);
        }
        match polled {
            Poll::Ready(result) => {
                if let Err(error) = result {
                    tracing::debug!(peer = %downstream.peer, %error, "connection ended");
                }
                Poll::Ready(Pause::Closed)
            }
            // The last answer has left to its last byte, and nothing has come since.
            Poll::Pending if watch.is_resting() && !notes.requested.get() && !leaving => {
                Poll::Ready(Pause::Resting)
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Waits for the next request without the 16 KiB of buffers that hyper keeps for one: most connections
/// of Cloudflare are idle most of the time, for up to a quarter of an hour. When the process closes what is
/// idle, hyper is to do it. Returns the phase in which the connection ends instead.
async fn rest(downstream: &Downstream, stream: &ClientStream) -> Option<Phase> {
    let Downstream { worker, watch, .. } = downstream;
    poll_fn(|cx| {
        watch.register(cx);
        if let Some(phase) = watch.expired() {
            return Poll::Ready(Some(phase));
        }
        if worker.closing_idle.get() {
            return Poll::Ready(None);
        }
        stream.poll_readable(cx).map(|_| None)
    })
    .await
}

/// Ends a connection that has been in a phase for too long. Returns why its request could not be read,
/// if it was about to be.
fn expire(downstream: &Downstream, phase: Phase, stream: &mut ClientStream) -> Option<Reason> {
    let idle_closed = &downstream.worker.cells.listeners[downstream.listener].idle_closed;
    match phase {
        Phase::Head => {
            stream.try_answer(Reason::RequestTimeout);
            idle_closed.add(1);
            Some(Reason::RequestTimeout)
        }
        Phase::Idle | Phase::Handshake | Phase::Tunnel => {
            stream.try_close();
            idle_closed.add(1);
            None
        }
        // The exchange, which has been dropped with the service, says who stalled.
        Phase::Exchange | Phase::Response => None,
    }
}
