//! A conversation in HTTP/1.1, and what the connection may be handed over to.

use crate::deadline::Phase;
use crate::error::Reason;
use crate::forward::{self, Downstream, TunnelSlot};
use crate::http::{self as stage, ClientSocket, ClientStream, Notes};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// How a connection ended.
enum End {
    /// By HTTP's own rules, or by an error of the socket.
    Closed,
    /// It was in this phase for too long.
    Expired(Phase),
}

/// Speaks HTTP/1.1 until the connection ends.
pub(super) async fn converse(downstream: Rc<Downstream>, socket: ClientSocket) {
    let worker = &downstream.worker;
    let watch = &downstream.watch;
    let notes = Rc::new(Notes::default());
    let head_limit = worker.config.timeouts.request_head;
    let stream = ClientStream::new(socket, Rc::clone(watch), head_limit, Rc::clone(&notes));
    let tunnel = TunnelSlot::default();
    let service = {
        let (downstream, notes, tunnel) =
            (Rc::clone(&downstream), Rc::clone(&notes), Rc::clone(&tunnel));
        service_fn(move |request| {
            notes.requested.set(true);
            forward::forward(&downstream, &tunnel, request)
        })
    };
    let header_bytes = worker.config.limits.header_block;
    let mut connection =
        stage::server(header_bytes).serve_connection(TokioIo::new(stream), service);
    let mut leaving = false;
    let end = poll_fn(|cx| {
        watch.register(cx);
        match watch.expired() {
            // The request itself answers that it took too long.
            None | Some(Phase::Exchange) => {}
            Some(phase) => return Poll::Ready(End::Expired(phase)),
        }
        if worker.closing_idle.get() && !leaving {
            leaving = true;
            // Closes at once if nothing is under way, else after the answer.
            Pin::new(&mut connection).graceful_shutdown();
        }
        Pin::new(&mut connection).poll(cx).map(|result| {
            if let Err(error) = result {
                tracing::debug!(peer = %downstream.peer, %error, "connection ended");
            }
            End::Closed
        })
    })
    .await;
    match end {
        End::Closed => {
            if let Some(tunnel) = tunnel.take() {
                let parts = connection.into_parts();
                let socket = parts.io.into_inner().into_socket();
                // The rest of the connection's state would outlive its use by hours.
                drop(parts.service);
                Box::pin(tunnel.relay(socket, parts.read_buf)).await;
            }
        }
        End::Expired(phase) => {
            let refused = expire(&downstream, phase, connection.into_parts().io.inner_mut());
            notes.refused.set(refused.or(notes.refused.get()));
        }
    }
    if let Some(reason) = notes.refused.get() {
        forward::record_unread(&downstream, reason);
    }
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
