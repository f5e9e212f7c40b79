//! What both sides of HTTP/2 need to send on a stream.

use bytes::Buf;
use h2::SendStream;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The next step of a body that is sent.
#[derive(Debug)]
pub enum SendStep<B> {
    /// A frame to send.
    Frame(Frame<B>),
    /// It has ended.
    End,
    /// Its source has failed.
    Fail,
    /// The peer wants no more, or is gone.
    Stop,
}

/// Waits for the next step, before there is room for it: a reservation that nothing is sent of would keep a part of the
/// window of the connection from its other streams, for as long as the body has nothing to say.
pub fn poll_step<B: Body<Data: Buf> + Unpin>(
    body: &mut B,
    stream: &mut SendStream<B::Data>,
    cx: &mut Context<'_>,
) -> Poll<SendStep<B::Data>> {
    if stream.poll_reset(cx).is_ready() {
        return Poll::Ready(SendStep::Stop);
    }
    Poll::Ready(match ready!(Pin::new(body).poll_frame(cx)) {
        Some(Ok(frame)) => SendStep::Frame(frame),
        Some(Err(_)) => SendStep::Fail,
        None => SendStep::End,
    })
}

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
