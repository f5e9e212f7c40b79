//! What both sides of HTTP/2 need to send and to receive on a stream.

use bytes::{Buf, Bytes};
use h2::{Error, RecvStream, SendStream};
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

/// The body of a message, as it is received.
#[derive(Debug)]
pub struct ReceivedBody {
    stream: RecvStream,
    /// Announced and yet to come, in bytes.
    left: Option<u64>,
    /// Only trailers are still to come.
    data_ended: bool,
}

impl ReceivedBody {
    /// What follows a head that announces so many bytes, if it says how many.
    pub fn new(stream: RecvStream, left: Option<u64>) -> Self {
        Self { stream, left, data_ended: false }
    }

    /// The next frame. The window opens again by what is handed on: the other side takes it now.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // An error: the stream is closed, and needs no window.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_ended = true,
            }
        }
        self.stream
            .poll_trailers(cx)
            .map(|trailers| trailers.map(|it| it.map(Frame::trailers)).transpose())
    }

    /// Bytes that are announced and yet to come; `None` if none were announced.
    pub fn left(&self) -> Option<u64> {
        self.left
    }

    /// Whether all of it was read.
    pub fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    /// The stream, for what is still on it.
    pub fn into_stream(self) -> RecvStream {
        self.stream
    }
}
