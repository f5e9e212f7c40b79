//! Bytes both ways between a client and a pod, until both sides have ended: WebSockets and other protocols that a
//! request was upgraded to, and connections of IngressRouteTCPs.

use crate::error::Reason;
use crate::net::deadline::{Phase, Watch};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};

/// How long a relay may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// While both sides are open.
    pub(super) idle: Duration,
    /// When one of them has ended.
    pub(super) half_closed: Duration,
}

/// What became of a relay.
#[derive(Debug)]
pub(super) struct Relayed {
    /// Bytes that came from the client, those that it had sent early among them.
    pub(super) from_client: u64,
    /// Bytes that came from the pod.
    pub(super) from_pod: u64,
    /// Why it did not end by both sides.
    pub(super) cut: Option<Reason>,
}

/// Relays until both sides have ended, nothing has moved for too long, or `aborting` is set. `early` is what the client
/// has sent already.
pub(super) async fn relay<C, P, E>(client: &mut C, pod: P, early: E, flow: Flow<'_>) -> Relayed
where
    C: AsyncRead + AsyncWrite + Unpin,
    P: AsyncRead + AsyncWrite + Unpin,
    E: AsRef<[u8]>,
{
    flow.moved();
    let ahead = early.as_ref().len() as u64;
    let mut client = Side::new(client, &flow);
    let mut pod = Side::new(pod, &flow);
    let end = {
        let mut relaying = pin!(async {
            pod.write_all(early.as_ref()).await?;
            // It may have been a whole ClientHello, and the relay may last for days.
            drop(early);
            flow.sent_early();
            copy_bidirectional(&mut client, &mut pod).await
        });
        poll_fn(|cx| {
            flow.watch.register(cx);
            if flow.watch.expired().is_some() {
                return Poll::Ready(Err(Some(Reason::TunnelIdle)));
            }
            if flow.aborting.get() {
                return Poll::Ready(Err(Some(Reason::CutByDrain)));
            }
            relaying.as_mut().poll(cx).map_err(|_| None).map_ok(drop)
        })
        .await
    };
    let cut = match end {
        Ok(()) => None,
        Err(Some(reason)) => Some(reason),
        Err(None) if pod.failed => Some(Reason::UpstreamTruncated),
        Err(None) => Some(Reason::ClientGone),
    };
    Relayed { from_client: client.read + ahead, from_pod: pod.read, cut }
}

/// Traffic of a relay.
pub(super) struct Flow<'w> {
    watch: Rc<Watch>,
    aborting: &'w Cell<bool>,
    limit: Cell<Duration>,
    half_closed: Duration,
    /// Called when what was early is with the pod.
    then: RefCell<Option<Box<dyn FnOnce() + 'w>>>,
}

impl<'w> Flow<'w> {
    /// A relay with this deadline.
    pub(super) fn new(watch: Rc<Watch>, aborting: &'w Cell<bool>, patience: Patience) -> Self {
        let Patience { idle, half_closed } = patience;
        let (limit, then) = (Cell::new(idle), RefCell::default());
        Self { watch, aborting, limit, half_closed, then }
    }

    /// The same with something to do when what was early is with the pod.
    pub(super) fn after_early(self, act: impl FnOnce() + 'w) -> Self {
        self.then.replace(Some(Box::new(act)));
        self
    }

    fn sent_early(&self) {
        if let Some(act) = self.then.take() {
            act();
        }
    }

    fn moved(&self) {
        self.watch.enter(Phase::Tunnel, self.limit.get());
    }
}

/// An end of a relay.
struct Side<'f, 'w, S> {
    inner: S,
    flow: &'f Flow<'w>,
    /// Bytes that came from it.
    read: u64,
    failed: bool,
}

impl<'f, 'w, S> Side<'f, 'w, S> {
    fn new(inner: S, flow: &'f Flow<'w>) -> Self {
        Self { inner, flow, read: 0, failed: false }
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.failed |= result.is_err();
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Side<'_, '_, S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Side<'_, '_, S> {
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
