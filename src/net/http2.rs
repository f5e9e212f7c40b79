//! What both sides of HTTP/2 need to send on a stream.

use bytes::Buf;
use h2::SendStream;
use std::task::{Context, Poll, ready};

/// Waits for room for what was reserved. Returns whether the peer wants any more: it has not reset the stream, and is
/// still there.
pub fn poll_room<B: Buf>(stream: &mut SendStream<B>, cx: &mut Context<'_>) -> Poll<bool> {
    if stream.poll_reset(cx).is_ready() {
        return Poll::Ready(false);
    }
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(false),
        }
    }
    Poll::Ready(true)
}
