//! The body of a response of gRPC as one of gRPC-Web.

use crate::upstream::ReplyBody;
use crate::upstream::body::clean_trailers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The first byte of a frame that is trailers ("gRPC-Web", Protocol differences).
const TRAILERS: u8 = 0x80;

/// A body on its way to a browser.
#[derive(Debug)]
pub struct WebBody {
    incoming: ReplyBody,
    is_text: bool,
    is_over: bool,
}

/// The upstream's answer ended before its end.
#[derive(Clone, Copy, Debug)]
pub struct BrokenFrame;

impl WebBody {
    /// That of a pod, in base64 or not.
    pub fn new(incoming: ReplyBody, is_text: bool) -> Self {
        Self { incoming, is_text, is_over: false }
    }

    /// Whether nothing comes any more.
    pub fn is_end_stream(&self) -> bool {
        self.is_over
    }

    /// The next piece.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenFrame>>> {
        while !self.is_over {
            let Some(frame) = ready!(Pin::new(&mut self.incoming).poll_frame(cx)) else { break };
            let Ok(frame) = frame else {
                self.is_over = true;
                return Poll::Ready(Some(Err(BrokenFrame)));
            };
            self.is_over = frame.is_trailers();
            let piece = clean_trailers(frame).map(into_piece);
            // A part of base64 may end anywhere, with its padding.
            if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
                let piece = if self.is_text { STANDARD.encode(piece).into() } else { piece };
                return Poll::Ready(Some(Ok(piece)));
            }
        }
        self.is_over = true;
        Poll::Ready(None)
    }
}

/// Data as it is, or trailers as a frame: a byte, the length, and lines as in HTTP/1.1 with names in lower case.
fn into_piece(frame: Frame<Bytes>) -> Bytes {
    let trailers = match frame.into_data() {
        Ok(data) => return data,
        Err(frame) => frame.into_trailers().unwrap_or_default(),
    };
    let mut lines = Vec::new();
    for (name, value) in &trailers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    // HTTP/2 bounds trailers far below that.
    let length = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    [&[TRAILERS], &length.to_be_bytes()[..], &lines].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::TrailerMap;
    use http::HeaderValue;

    #[test]
    fn trailers_are_a_frame_of_lines() {
        let mut trailers = TrailerMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-a", HeaderValue::from_static("b"));
        let lines = b"grpc-status: 0\r\nx-a: b\r\n";
        let expected = [&[0x80, 0, 0, 0, 24][..], lines].concat();
        assert_eq!(into_piece(Frame::trailers(trailers)), expected);
        let data = Bytes::from_static(b"\0\0\0\0\0");
        assert_eq!(into_piece(Frame::data(data.clone())), data);
    }
}
