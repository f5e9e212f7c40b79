//! A response on its way to the client.

use crate::http as stage;
use crate::net::fields::{FieldMap, Fields};
use crate::net::http1::{
    BodyFramer, BodyFraming, BrokenBody, Gathered, MessageOutput, write_field,
};
use crate::net::message::ResponseParts;
use crate::proxy::request::ResponseBody;
use crate::upstream::body::Piece;
use http::{Method, StatusCode, Version, header};
use http_body::Body;
use hyper::ext::ReasonPhrase;
use std::task::Context;

/// A response, and how far it is in the output.
#[derive(Debug)]
pub(super) struct Response {
    body: ResponseBody,
    framer: BodyFramer,
    /// Whether the connection may serve another request behind it.
    pub(super) keeps_alive: bool,
}

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
        head: ResponseParts,
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
            (false, _) => BodyFraming::Length(0),
            (true, Some(length)) => BodyFraming::Length(length),
            (true, None) if asked.version == Version::HTTP_10 => BodyFraming::UntilClose,
            (true, None) => BodyFraming::Chunked,
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
            BodyFraming::Length(length) if has_body => {
                write_field(text, b"content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            BodyFraming::Chunked => write_field(text, b"transfer-encoding", b"chunked"),
            BodyFraming::Length(_) | BodyFraming::UntilClose => {}
        }
        let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
        let keeps_alive = asked.keeps_alive && !closes && framing != BodyFraming::UntilClose;
        match asked.version {
            _ if is_switch || closes => {}
            Version::HTTP_10 if keeps_alive => write_field(text, b"connection", b"keep-alive"),
            Version::HTTP_11 if !keeps_alive => write_field(text, b"connection", b"close"),
            _ => {}
        }
        text.extend_from_slice(b"\r\n");
        (Self { body, framer: BodyFramer::begin(framing), keeps_alive }, head.headers)
    }

    /// Puts what there is of the body into the output, as far as one send takes it.
    pub(super) fn gather(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut MessageOutput<Piece>,
    ) -> Result<Gathered, BrokenBody> {
        self.framer.gather(cx, &mut self.body, output)
    }

    /// Whether all of it is in the output.
    pub(super) fn is_ended(&self) -> bool {
        self.framer.is_ended()
    }

    /// Whether a client cannot tell that it broke off but by a reset.
    pub(super) fn ends_by_close(&self) -> bool {
        self.framer.framing() == BodyFraming::UntilClose
    }
}

/// Writes an interim response (RFC 9110 section 15.2): it has no body.
pub(super) fn write_interim(text: &mut Vec<u8>, head: &ResponseParts) {
    write_status(text, head, Version::HTTP_11);
    for (name, value) in head.headers.iter() {
        write_field(text, name.as_str().as_bytes(), value.as_bytes());
    }
    text.extend_from_slice(b"\r\n");
}

fn write_status(text: &mut Vec<u8>, head: &ResponseParts, version: Version) {
    text.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    text.extend_from_slice(head.status.as_str().as_bytes());
    text.push(b' ');
    let phrase = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let usual = || head.status.canonical_reason().unwrap_or_default().as_bytes();
    text.extend_from_slice(phrase.unwrap_or_else(usual));
    text.extend_from_slice(b"\r\n");
}
