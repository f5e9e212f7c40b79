//! The life of a connection: accepted socket, HTTP, deadlines, drain, end.

use crate::client_ip::ClientIp;
use crate::deadline::Phase;
use crate::error::Reason;
use crate::forward::{self, Downstream, Worker};
use crate::http::{self as stage, ClientStream, ForwardedFields, Notes};
use crate::listen::Accepted;
use crate::telemetry::access_log::ConnectionText;
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::net::TcpStream;

/// How a connection ended.
enum End {
    /// By HTTP's own rules, or by an error of the socket.
    Closed,
    /// It was in this phase for too long.
    Expired(Phase),
}

/// Serves one connection to its end.
pub async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted { socket, peer, listener, slot, load } = accepted;
    let cells = &worker.cells.listeners[listener];
    cells.open.shift(1);
    if let Ok(socket) = TcpStream::from_std(socket) {
        let port = socket.local_addr().map_or(0, |address| address.port());
        let client = ClientIp::of_peer(peer);
        let watch = worker.deadlines.watch(worker.config.timeouts.downstream_idle);
        let fields = forwarded_fields(client, port);
        let name = &worker.config.listeners[listener].name;
        let text = ConnectionText::new(client, peer, name);
        let downstream =
            Downstream { worker: Rc::clone(&worker), listener, peer, client, watch, text, fields };
        converse(Rc::new(downstream), socket).await;
    }
    cells.open.shift(-1);
    drop((slot, load));
}

/// What the upstream is told of every request of this connection.
fn forwarded_fields(client: ClientIp, port: u16) -> ForwardedFields {
    let value = |text: String| {
        HeaderValue::try_from(text).expect("addresses and numbers are valid field values")
    };
    ForwardedFields {
        client: value(client.to_string()),
        proto: HeaderValue::from_static("http"),
        port: value(port.to_string()),
    }
}

/// Speaks HTTP until the connection ends.
async fn converse(downstream: Rc<Downstream>, socket: TcpStream) {
    let worker = &downstream.worker;
    let watch = &downstream.watch;
    let notes = Rc::new(Notes::default());
    let head_limit = worker.config.timeouts.request_head;
    let stream = ClientStream::new(socket, Rc::clone(watch), head_limit, Rc::clone(&notes));
    let service = {
        let (downstream, notes) = (Rc::clone(&downstream), Rc::clone(&notes));
        service_fn(move |request| {
            notes.requested.set(true);
            forward::forward(&downstream, request)
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
        End::Closed => {}
        End::Expired(Phase::Head) => {
            notes.refused.set(Some(Reason::RequestTimeout));
            connection.into_parts().io.inner().try_answer(Reason::RequestTimeout);
            worker.cells.listeners[downstream.listener].idle_closed.add(1);
        }
        End::Expired(Phase::Idle) => {
            worker.cells.listeners[downstream.listener].idle_closed.add(1);
        }
        // The exchange that is dropped here says who stalled.
        End::Expired(Phase::Exchange | Phase::Response) => drop(connection),
    }
    if let Some(reason) = notes.refused.get() {
        forward::record_unread(&downstream, reason);
    }
}
