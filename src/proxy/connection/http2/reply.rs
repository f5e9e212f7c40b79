//! The answer to a request, on its stream.

use super::body::StreamSource;
use super::interim::Interim;
use crate::http::Stream;
use crate::net::fields::Fields;
use crate::net::http2::{SendStep, poll_room, poll_step};
use crate::net::message::{Request, Response};
use crate::proxy::Downstream;
use crate::proxy::request::{ResponseBody, TunnelSlot, forward};
use crate::upstream::body::Piece;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, header};
use http_body::Body;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::Poll;

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
    // Boxed: each of the futures around it would be as large, and the runtime moves a task three times in its life.
    let answering = Box::pin(forward(downstream, watch, tunnel, request, None));
    tokio::task::spawn_local(stream.run(answer(answering, interim)));
}

/// Sends an answer once it is there, to its end, unless the client resets the stream.
async fn answer(
    mut answering: Pin<Box<impl Future<Output = Result<Response<ResponseBody>, Infallible>>>>,
    interim: Rc<Interim>,
) {
    let answer = {
        let answered = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(Ok(answer)) => Poll::Ready(Some(answer)),
            Poll::Pending => interim.poll_reset(cx).map(|()| None),
        });
        match answered.await {
            Some(answer) => answer,
            None => return,
        }
    };
    // Not held for as long as the body takes.
    drop(answering);
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

/// Sends a body to its end.
async fn send_body(body: &mut ResponseBody, stream: &mut SendStream<Piece>) {
    loop {
        let sent = match poll_fn(|cx| poll_step(body, stream, cx)).await {
            SendStep::Frame(frame) => match frame.into_data() {
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
            SendStep::End => {
                let _ = end(stream);
                return;
            }
            SendStep::Fail => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return;
            }
            SendStep::Stop => return,
        };
        if !sent {
            return;
        }
    }
}

fn end(stream: &mut SendStream<Piece>) -> Result<(), h2::Error> {
    stream.send_data(Piece::of_ours(Bytes::new()), true)
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
