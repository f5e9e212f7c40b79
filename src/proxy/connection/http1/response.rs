//! A response on its way to the client.

use crate::http as stage;
use crate::net::fields::FieldMap;
use crate::net::http1::{MessageOutput, write_field};
use crate::proxy::request::ResponseBody;
use crate::upstream::body::Piece;
use http::{Method, StatusCode, Version, header, response};
use http_body::{Body, Frame};
use hyper::ext::ReasonPhrase;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A response, and how far it is in the output.
#[derive(Debug)]
pub(super) struct Response {
    body: ResponseBody,
    framing: Framing,
    /// The body has come to its end, and all that follows it is in the output.
    pub(super) is_ended: bool,
    /// Whether the connection may serve another request behind it.
    pub(super) keeps_alive: bool,
}

/// The framing of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked,
    /// Until the connection ends: for version 1.0.
    UntilClose,
}

/// How much of a body is in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// What there is so far.
    SoFar,
    /// As much as one send takes; there may be more.
    Enough,
    /// All that was still to come.
    All,
}

/// The response broke off.
#[derive(Debug)]
pub(super) struct Broken;

/// What a response is to.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keeps_alive: bool,
}

impl Response {
    /// Writes the head. Returns the response and the map of its fields, which is of no use any more.
    pub(super) fn begin(
        head: response::Parts,
        body: ResponseBody,
        asked: &Asked,
        output: &mut MessageOutput<Piece>,
    ) -> (Self, FieldMap) {
        let text = output.text();
        write_status(text, &head, asked.version);
        let status = head.status;
        let may_have_body = stage::may_have_body(status);
        let has_body = may_have_body && asked.method != Method::HEAD;
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let framing = match (has_body, length) {
            (false, _) => Framing::Length(0),
            (true, Some(length)) => Framing::Length(length),
            (true, None) if asked.version == Version::HTTP_10 => Framing::UntilClose,
            (true, None) => Framing::Chunked,
        };
        let mut closes = false;
        for (name, value) in head.headers.iter() {
            match *name {
                // The framing is ours.
                header::TRANSFER_ENCODING => continue,
                header::CONTENT_LENGTH if has_body || !may_have_body => continue,
                header::CONNECTION => closes |= value == "close",
                _ => {}
            }
            write_field(text, name.as_str().as_bytes(), value.as_bytes());
        }
        match framing {
            Framing::Length(length) if has_body => {
                write_field(text, b"content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            Framing::Chunked => write_field(text, b"transfer-encoding", b"chunked"),
            Framing::Length(_) | Framing::UntilClose => {}
        }
        let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
        let keeps_alive = asked.keeps_alive && !closes && framing != Framing::UntilClose;
        match asked.version {
            _ if is_switch || closes => {}
            Version::HTTP_10 if keeps_alive => write_field(text, b"connection", b"keep-alive"),
            Version::HTTP_11 if !keeps_alive => write_field(text, b"connection", b"close"),
            _ => {}
        }
        text.extend_from_slice(b"\r\n");
        let is_ended = framing == Framing::Length(0);
        (Self { body, framing, is_ended, keeps_alive }, head.headers)
    }

    /// Puts what there is of the body into the output, as far as one send takes it.
    pub(super) fn gather(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut MessageOutput<Piece>,
    ) -> Result<Gathered, Broken> {
        while !self.is_ended {
            if !output.takes_more() {
                return Ok(Gathered::Enough);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Gathered::SoFar),
                Poll::Ready(Some(Ok(frame))) => self.push(frame, output)?,
                Poll::Ready(Some(Err(_))) => return Err(Broken),
                Poll::Ready(None) => self.end(None, output)?,
            }
        }
        Ok(Gathered::All)
    }

    fn push(
        &mut self,
        frame: Frame<Piece>,
        output: &mut MessageOutput<Piece>,
    ) -> Result<(), Broken> {
        let piece = match frame.into_data() {
            Ok(piece) => piece,
            Err(frame) => return self.end(frame.into_trailers().ok().as_ref(), output),
        };
        match &mut self.framing {
            // A chunk of no bytes would be the last.
            _ if piece.is_empty() => {}
            Framing::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(Broken)?;
                self.is_ended = *left == 0;
                output.push(piece);
            }
            Framing::Chunked => output.push_chunk(piece),
            Framing::UntilClose => output.push(piece),
        }
        Ok(())
    }

    /// Puts the end of the body behind it.
    fn end(
        &mut self,
        trailers: Option<&FieldMap>,
        output: &mut MessageOutput<Piece>,
    ) -> Result<(), Broken> {
        self.is_ended = true;
        match self.framing {
            Framing::Length(0) | Framing::UntilClose => {}
            Framing::Length(_) => return Err(Broken),
            Framing::Chunked => output.push_last_chunk(trailers),
        }
        Ok(())
    }

    /// Whether a client cannot tell that it broke off but by a reset.
    pub(super) fn ends_by_close(&self) -> bool {
        self.framing == Framing::UntilClose
    }
}

fn write_status(text: &mut Vec<u8>, head: &response::Parts, version: Version) {
    text.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    text.extend_from_slice(head.status.as_str().as_bytes());
    text.push(b' ');
    let phrase = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let usual = || head.status.canonical_reason().unwrap_or_default().as_bytes();
    text.extend_from_slice(phrase.unwrap_or_else(usual));
    text.extend_from_slice(b"\r\n");
}
