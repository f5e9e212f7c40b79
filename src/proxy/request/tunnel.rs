//! A connection that has changed its protocol (RFC 9110 section 7.8): bytes both ways until both
//! sides have ended.
//!
//! Nothing that the client sends behind its request head goes upstream before the pod has agreed:
//! until then it waits in the buffer of the client's connection.

use super::exchange::Exchange;
use super::response_body::ResponseBody;
use crate::error::Reason;
use crate::http::{self as stage, ClientSocket};
use crate::net::deadline::{Phase, Watch};
use crate::net::fields::Fields;
use crate::proxy::Downstream;
use crate::upstream::ReplyBody;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};

/// The slot in which a request leaves its tunnel for its connection.
pub type TunnelSlot = Rc<RefCell<Option<Tunnel>>>;

/// Both have agreed to change the protocol.
#[derive(Debug)]
pub struct Tunnel {
    exchange: Exchange,
    upstream: Upgraded,
}

/// Takes the pod's 101: the answer for the client, and the tunnel into its slot.
///
/// # Errors
/// The pod has agreed to what was not asked for, or was gone before it could take over.
pub(super) async fn switch(
    mut exchange: Exchange,
    mut response: Response<ReplyBody>,
    slot: &TunnelSlot,
) -> Result<Response<ResponseBody>, (Exchange, Reason)> {
    let Some(protocol) = exchange.noted.upgrade.clone() else {
        return Err((exchange, Reason::UpstreamUpgraded));
    };
    let agreed = response.headers().get(header::UPGRADE);
    if !agreed.is_some_and(|agreed| agreed.as_bytes().eq_ignore_ascii_case(protocol.as_bytes())) {
        return Err((exchange, Reason::UpstreamUpgraded));
    }
    let watch = Rc::clone(exchange.watch());
    let Some(Ok(upstream)) = watch.guard(pin!(hyper::upgrade::on(&mut response))).await else {
        return Err((exchange, Reason::UpstreamClosed));
    };
    let mut answer = Response::new(ResponseBody::none());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    let status = StatusCode::SWITCHING_PROTOCOLS;
    if let Err(reason) = stage::clean_response(answer.headers_mut(), status, false) {
        return Err((exchange, reason));
    }
    answer.headers_mut().set(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().set(header::UPGRADE, protocol);
    // The answer is through; what follows lasts for as long as both want it to.
    watch.end_after(None);
    exchange.answered(StatusCode::SWITCHING_PROTOCOLS);
    slot.replace(Some(Tunnel { exchange, upstream }));
    Ok(answer)
}

/// How a tunnel ended, if not by both sides.
enum Cut {
    Idle,
    Leaving,
    Failed,
}

impl Tunnel {
    /// Relays until both sides have ended, the tunnel is idle for too long, or the process shuts down.
    /// `early` is what the client sent after its request head.
    pub async fn relay(self, client: ClientSocket, early: Bytes) {
        let Self { mut exchange, upstream } = self;
        let downstream = Rc::clone(exchange.downstream());
        let Downstream { worker, listener, .. } = &*downstream;
        // Lowered however this ends.
        let open = worker.cells.listeners[*listener].tunnels.raise();
        let flow = Flow {
            watch: Rc::clone(exchange.watch()),
            limit: Cell::new(exchange.tunnel_idle()),
            half_closed: exchange.body_progress(),
        };
        flow.moved();
        let mut client = Side::new(client, &flow);
        let mut pod = Side::new(TokioIo::new(upstream), &flow);
        let end = {
            let mut relaying = pin!(async {
                pod.write_all(&early).await?;
                copy_bidirectional(&mut client, &mut pod).await
            });
            poll_fn(|cx| {
                flow.watch.register(cx);
                if flow.watch.expired().is_some() {
                    return Poll::Ready(Err(Cut::Idle));
                }
                if worker.aborting.get() {
                    return Poll::Ready(Err(Cut::Leaving));
                }
                relaying.as_mut().poll(cx).map_err(|_| Cut::Failed).map_ok(drop)
            })
            .await
        };
        drop(open);
        exchange.relayed(client.read + early.len() as u64, pod.read);
        match end {
            Ok(()) => exchange.complete(),
            Err(Cut::Idle) => exchange.broke_off(Reason::TunnelIdle),
            Err(Cut::Leaving) => exchange.broke_off(Reason::CutByDrain),
            Err(Cut::Failed) if pod.failed => exchange.broke_off(Reason::UpstreamTruncated),
            Err(Cut::Failed) => exchange.broke_off(Reason::ClientGone),
        }
        // Without an error, so that nobody takes the end for a fault of the network.
        client.inner.try_end(&[]);
    }
}

/// Traffic of a tunnel.
struct Flow {
    watch: Rc<Watch>,
    limit: Cell<Duration>,
    /// How long one side may go on in silence when the other has ended.
    half_closed: Duration,
}

impl Flow {
    fn moved(&self) {
        self.watch.enter(Phase::Tunnel, self.limit.get());
    }
}

/// An end of a tunnel.
struct Side<'f, S> {
    inner: S,
    flow: &'f Flow,
    /// Bytes that came from it.
    read: u64,
    failed: bool,
}

impl<'f, S> Side<'f, S> {
    fn new(inner: S, flow: &'f Flow) -> Self {
        Self { inner, flow, read: 0, failed: false }
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.failed |= result.is_err();
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Side<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        let bytes = buf.filled().len() - before;
        self.read += bytes as u64;
        if bytes == 0 {
            self.flow.limit.set(self.flow.half_closed);
        }
        self.flow.moved();
        Poll::Ready(self.note(result))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Side<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        self.flow.moved();
        Poll::Ready(self.note(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.note(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        Poll::Ready(self.note(result))
    }
}
