//! A request body on its stream.
//!
//! A frame is read before there is room for it, so that one at most waits here: a reservation that nothing is sent of
//! would keep a part of the window of the connection from all other requests, for as long as a client has nothing to say.
//! A stream that the peer resets ends it, and nothing else does but its own end.

use crate::net::http2::{SendStep, poll_room, poll_step};
use crate::upstream::body::{Piece, RequestBody};
use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;
use std::cell::Cell;
use std::future::poll_fn;

/// How far a request is: read by its response.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The end of the stream has been handed over.
    pub(super) ended: Cell<bool>,
    /// The client broke off or broke the framing.
    pub(super) failed: Cell<bool>,
}

/// Sends a body to its end.
pub(super) async fn send(mut body: RequestBody, mut stream: SendStream<Piece>, sent: &Sent) {
    loop {
        match poll_fn(|cx| poll_step(&mut body, &mut stream, cx)).await {
            SendStep::Frame(frame) => {
                let ended = frame.is_trailers() || body.is_end_stream();
                let done = match frame.into_data() {
                    Ok(data) => send_data(&mut stream, data, ended).await,
                    Err(frame) => frame.into_trailers().map_or(Ok(()), |trailers| {
                        // The peer must not wait for an end that h2 does not send.
                        let sent = stream.send_trailers(trailers);
                        sent.or_else(|_| stream.send_data(Piece::of_ours(Bytes::new()), true))
                    }),
                };
                sent.ended.set(ended);
                // An error: the stream is closed, which its response tells better.
                if ended || done.is_err() {
                    return;
                }
            }
            SendStep::End => {
                let _ = stream.send_data(Piece::of_ours(Bytes::new()), true);
                sent.ended.set(true);
                return;
            }
            SendStep::Fail => {
                sent.failed.set(true);
                stream.send_reset(Reason::CANCEL);
                return;
            }
            SendStep::Stop => return,
        }
    }
}

/// Sends a frame as far as the peer has room for it, and then the rest: what h2 has been given is on its
/// way, and by that a reset can be told from one that comes before the end of the request.
async fn send_data(
    stream: &mut SendStream<Piece>,
    mut data: Piece,
    ended: bool,
) -> Result<(), h2::Error> {
    loop {
        stream.reserve_capacity(data.len());
        let room = stream.capacity().min(data.len());
        if room == data.len() {
            return stream.send_data(data, ended);
        }
        if room > 0 {
            stream.send_data(data.split_to(room), false)?;
        } else if !poll_fn(|cx| poll_room(stream, cx)).await {
            return Err(Reason::CANCEL.into());
        }
    }
}
