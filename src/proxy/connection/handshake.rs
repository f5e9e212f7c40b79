//! The TLS handshake of a connection, within its deadline, and what the connection is afterwards.

use super::{HTTP2, count_failed};
use crate::http::client_ip::Scheme;
use crate::http::{ClientSocket, Streams};
use crate::net::deadline::Phase;
use crate::net::memory::{HolderKind, Inflow};
use crate::proxy::Downstream;
use crate::telemetry::HandshakeFailure;
use crate::tls::{Session, Unmet};
use crate::upstream::body::Flow;
use http::HeaderValue;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a handshake comes to.
pub(super) type Secured = (TlsStream<TcpStream>, Session);

/// Begins the time that a handshake has, from its first byte on.
pub(super) fn begin(downstream: &Downstream) {
    let Downstream { worker, watch, .. } = downstream;
    watch.enter(Phase::Handshake, worker.config.timeouts.tls_handshake);
}

/// Does a part of a handshake, as long as there is time for it.
pub(super) async fn in_time<T>(
    downstream: &Downstream,
    mut part: Pin<&mut impl Future<Output = Result<T, Unmet>>>,
) -> Result<T, Unmet> {
    let watch = &downstream.watch;
    poll_fn(|cx| {
        watch.register(cx);
        let ended = match () {
            () if watch.is_evicted() => HandshakeFailure::Evicted,
            () if downstream.closes_idle() => HandshakeFailure::Drained,
            () if watch.expired().is_some() => HandshakeFailure::Timeout,
            () => return part.as_mut().poll(cx),
        };
        Poll::Ready(Err(ended.into()))
    })
    .await
}

/// Does the TLS handshake of a connection with HTTP. `None` if it failed, which has been counted.
pub(super) async fn shake(
    downstream: Downstream,
    socket: TcpStream,
) -> Option<(Downstream, ClientSocket)> {
    let worker = Rc::clone(&downstream.worker);
    let cells = &worker.cells.listeners[downstream.listener];
    begin(&downstream);
    // On the heap, because it takes some KiB that the connection does not need afterwards.
    let mut handshake =
        Box::pin(worker.handshakes.shake(socket, downstream.tls_peer(), &cells.handshakes));
    let met = in_time(&downstream, handshake.as_mut()).await;
    settle(downstream, met)
}

/// Takes note of what a handshake with HTTP inside has come to.
pub(super) fn settle(
    mut downstream: Downstream,
    met: Result<Secured, Unmet>,
) -> Option<(Downstream, ClientSocket)> {
    let (stream, session) = count(&downstream, met)?;
    let worker = Rc::clone(&downstream.worker);
    let watch = Rc::clone(&downstream.watch);
    tell(&mut downstream, &session);
    downstream.fields.proto = HeaderValue::from_static(Scheme::Https.as_str());
    let idle = worker.config.timeouts.downstream_idle;
    let limits = &worker.config.http2;
    let streams = || {
        let account = Arc::clone(&downstream.account);
        let inflow = Inflow::new(account, limits.connection_window);
        Streams::new(&worker.deadlines, &watch, idle, limits.resets, inflow)
    };
    downstream.streams = session.http2.then(streams);
    if session.http2 {
        downstream.account.charge(HolderKind::Connections, HTTP2);
        // Each stream has its room within h2.
        downstream.flow = Flow::new(Arc::clone(&downstream.account), usize::MAX);
    }
    downstream.tls = Some(session);
    watch.enter(Phase::Idle, worker.config.timeouts.first_request);
    Some((downstream, ClientSocket::Tls(Box::new(stream))))
}

/// Counts a handshake, or the part of one that failed. `None` if it did.
pub(super) fn count<T>(downstream: &Downstream, met: Result<T, Unmet>) -> Option<T> {
    let cells = &downstream.worker.cells.listeners[downstream.listener];
    match met {
        Ok(met) => Some(met),
        Err(Unmet::Silent) => {
            cells.health_checks.add(1);
            None
        }
        Err(Unmet::Failed(why)) => {
            tracing::debug!(peer = %downstream.peer, reason = why.label(), "no TLS handshake");
            count_failed(cells, why);
            None
        }
    }
}

/// Counts a session, and adds it to the lines of the log.
pub(super) fn tell(downstream: &mut Downstream, session: &Session) {
    let cells = &downstream.worker.cells.listeners[downstream.listener];
    cells.handshakes.succeed(session.version, session.resumed);
    let text = std::mem::take(&mut downstream.text);
    let name = session.server_name.as_deref();
    let text = text.with_tls(session.version, name, session.resumed);
    downstream.text = text.with_client_certificate(session.client);
}
