//! The answer to a request, on its stream.

use super::body::StreamSource;
use super::interim::Interim;
use crate::http::Stream;
use crate::net::fields::Fields;
use crate::net::http2::poll_room;
use crate::net::message::{Request, Response};
use crate::proxy::Downstream;
use crate::proxy::request::{ResponseBody, TunnelSlot, forward};
use crate::upstream::body::Piece;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, header};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

/// Has a request answered by a task of its own.
pub(super) fn begin(
    downstream: &Rc<Downstream>,
    stream: Stream,
    tunnel: &TunnelSlot,
    request: http::Request<RecvStream>,
    sender: SendResponse<Piece>,
) {
    let watch = Rc::clone(stream.watch());
    let interim = Interim::new(sender, Rc::clone(downstream), Rc::clone(&watch));
    let (head, recv) = request.into_parts();
    let body = StreamSource::of(recv, &head.headers, &interim);
    let mut request = Request::from_parts(head.into(), body);
    let sink: Weak<Interim> = Rc::downgrade(&interim);
    request.set_interim(Some(sink));
    let answering = forward(downstream, watch, tunnel, request, None);
    // Boxed: the runtime moves a task three times in its life.
    tokio::task::spawn_local(Box::pin(stream.run(answer(answering, interim))));
}

/// Sends an answer once it is there, to its end, unless the client resets the stream.
async fn answer(
    answering: impl Future<Output = Result<Response<ResponseBody>, Infallible>>,
    interim: Rc<Interim>,
) {
    let answer = {
        let mut answering = pin!(answering);
        let answered = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(Ok(answer)) => Poll::Ready(Some(answer)),
            Poll::Pending => interim.poll_reset(cx).map(|()| None),
        });
        match answered.await {
            Some(answer) => answer,
            None => return,
        }
    };
    let (mut head, mut body) = answer.into_parts();
    let is_bodyless = body.is_end_stream();
    if !is_bodyless
        && let Some(length) = body.size_hint().exact()
        && !head.headers.contains(header::CONTENT_LENGTH)
    {
        head.headers.set(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let head = http::Response::from(Response::from_parts(head, ()));
    let sent = interim.end().send_response(head, is_bodyless);
    match sent {
        Ok(mut stream) if !is_bodyless => send_body(&mut body, &mut stream).await,
        Ok(_) => {}
        // The stream is closed, or a field may not be in HTTP/2.
        Err(_) => interim.end().send_reset(Reason::INTERNAL_ERROR),
    }
}

/// The next step of a body.
enum Step {
    Send(Frame<Piece>),
    End,
    /// The pod broke off.
    Fail,
    /// The client has reset the stream, or is gone.
    Stop,
}

/// Sends a body to its end.
///
/// A piece is read before there is room for it: a reservation that nothing is sent of would keep a part of the window
/// of the connection from the other streams, for as long as a pod has nothing to say.
async fn send_body(body: &mut ResponseBody, stream: &mut SendStream<Piece>) {
    loop {
        let sent = match poll_fn(|cx| poll_step(body, stream, cx)).await {
            Step::Send(frame) => match frame.into_data() {
                Ok(piece) => send_piece(body, stream, piece).await,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        // The client must not wait for an end that h2 does not send.
                        let sent = stream.send_trailers(trailers);
                        let _ = sent.or_else(|_| end(stream));
                    }
                    return;
                }
            },
            Step::End => {
                let _ = end(stream);
                return;
            }
            Step::Fail => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return;
            }
            Step::Stop => return,
        };
        if !sent {
            return;
        }
    }
}

fn end(stream: &mut SendStream<Piece>) -> Result<(), h2::Error> {
    stream.send_data(Piece::of_ours(Bytes::new()), true)
}

fn poll_step(
    body: &mut ResponseBody,
    stream: &mut SendStream<Piece>,
    cx: &mut Context<'_>,
) -> Poll<Step> {
    if stream.poll_reset(cx).is_ready() {
        return Poll::Ready(Step::Stop);
    }
    Poll::Ready(match ready!(Pin::new(body).poll_frame(cx)) {
        Some(Ok(frame)) => Step::Send(frame),
        Some(Err(_)) => Step::Fail,
        None => Step::End,
    })
}

/// Hands a piece to h2 once there is room for a part of it; the rest waits there. Returns whether more is to follow.
async fn send_piece(body: &ResponseBody, stream: &mut SendStream<Piece>, piece: Piece) -> bool {
    if !piece.is_empty() {
        // Not all of it: a stream that waits with a large claim makes h2 work for each window that opens.
        stream.reserve_capacity(1);
        if !poll_fn(|cx| poll_room(stream, cx)).await {
            return false;
        }
    }
    let is_last = body.is_end_stream();
    stream.send_data(piece, is_last).is_ok() && !is_last
}
