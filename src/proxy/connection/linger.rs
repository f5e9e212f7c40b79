//! The end of a connection whose client may still be sending.
//!
//! A socket that is closed with something unread is reset by its kernel, and the client's drops what it
//! has not handed over yet: our answer, and a client that reads only when it has sent everything never
//! sees it. So our side is ended, and what comes is dropped until the client has ended its own (RFC
//! 9112 section 9.6), or for as long as is reasonable.

use super::count_evicted;
use crate::http::ClientSocket;
use crate::net::deadline::Phase;
use crate::proxy::Downstream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// How long a client may be silent: nginx's `lingering_timeout`.
const SILENCE: Duration = Duration::from_secs(5);

/// How long it may go on sending: nginx's `lingering_time`.
const WHOLE: Duration = Duration::from_secs(30);

/// The most bytes that are dropped: twice the largest upload that Cloudflare passes on.
const MOST_BYTES: usize = 1024 * 1024 * 1024;

/// Ends our side of a connection, and drops what its client still sends.
pub(super) async fn linger(downstream: &Downstream, mut socket: ClientSocket) {
    let Downstream { worker, watch, listener, .. } = downstream;
    let _counted = worker.cells.listeners[*listener].lingering.raise();
    watch.enter(Phase::Idle, SILENCE);
    let limit = u64::try_from(WHOLE.as_millis()).unwrap_or(u64::MAX);
    let end_ms = worker.deadlines.now_ms().saturating_add(limit);
    let (mut left, mut ended) = (MOST_BYTES, false);
    poll_fn(|cx| {
        watch.register(cx);
        // hyper may have done it, and does not where it has met an error.
        ended = ended || Pin::new(&mut socket).poll_shutdown(cx).is_ready();
        loop {
            let is_over = worker.aborting.get() || worker.deadlines.now_ms() >= end_ms;
            if watch.is_evicted() {
                count_evicted(downstream);
                return Poll::Ready(());
            }
            if is_over || watch.expired().is_some() {
                return Poll::Ready(());
            }
            match ready!(socket.poll_discard(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(bytes) if bytes > left => return Poll::Ready(()),
                Ok(bytes) => left -= bytes,
            }
            watch.extend(SILENCE);
        }
    })
    .await;
}
