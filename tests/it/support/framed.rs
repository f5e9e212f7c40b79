//! HTTP/2 as a backend speaks it, frame by frame: what no library lets a server do can be done here.

use super::Conn;
use std::io::Read;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Bytes of the client's preface before its first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// A frame (RFC 9113 section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field as HPACK has it without any table (RFC 7541 section 6.2.2).
pub(crate) fn literal((name, value): (&str, &str)) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("a short text");
        [&[length], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}

/// 200 with these fields; the stream goes on.
pub(crate) fn head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    // `:status: 200` out of the static table.
    let mut block = vec![0x88];
    block.extend(fields.iter().copied().flat_map(literal));
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// A part of a body; the stream goes on.
pub(crate) fn part(stream: u32, body: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, body)
}

/// The end of a stream, without trailers.
pub(crate) fn end(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, b"")
}

/// The end of a stream, with trailers.
pub(crate) fn trailers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().copied().flat_map(literal).collect();
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// 200 with this body.
pub(crate) fn answer(stream: u32, body: &[u8]) -> Vec<u8> {
    [head(stream, &[]), part(stream, body), end(stream)].concat()
}

/// The stream has not been looked at.
pub(crate) fn refusal(stream: u32) -> Vec<u8> {
    const REFUSED_STREAM: u32 = 7;
    frame(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes())
}

/// No stream above `last` has been looked at, and none will be.
pub(crate) fn goaway(last: u32) -> Vec<u8> {
    goaway_for(last, 0)
}

/// The same with an error (RFC 9113 section 7).
pub(crate) fn goaway_for(last: u32, error: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), error.to_be_bytes()].concat())
}

/// A frame of the proxy's.
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// Reads frames until the proxy closes, and confirms its settings.
pub(crate) fn converse(conn: &mut Conn, mut received: impl FnMut(&mut Conn, Received)) {
    conn.send(frame(SETTINGS, 0, 0, b""));
    let mut preface = [0; PREFACE];
    if conn.wire.stream.read_exact(&mut preface).is_err() {
        return;
    }
    let mut start = [0; 9];
    while conn.wire.stream.read_exact(&mut start).is_ok() {
        let length = u32::from_be_bytes([0, start[0], start[1], start[2]]);
        let (kind, flags) = (start[3], start[4]);
        let stream = u32::from_be_bytes([start[5], start[6], start[7], start[8]]);
        let mut payload = vec![0; length as usize];
        if conn.wire.stream.read_exact(&mut payload).is_err() {
            return;
        }
        match kind {
            SETTINGS if flags & ACK == 0 => drop(conn.send(frame(SETTINGS, ACK, 0, b""))),
            _ => received(conn, Received { kind, flags, stream, payload }),
        }
    }
}

/// Reads requests until the proxy closes. Each is handed over with its stream and its body when it is
/// through.
pub(crate) fn serve(conn: &mut Conn, mut request: impl FnMut(&mut Conn, u32, Vec<u8>)) {
    let mut bodies: Vec<(u32, Vec<u8>)> = Vec::new();
    converse(conn, |conn, Received { kind, flags, stream, payload }| {
        match kind {
            HEADERS => bodies.push((stream, Vec::new())),
            DATA => {
                let body = bodies.iter_mut().find(|(number, _)| *number == stream);
                body.expect("an open stream").1.extend(payload);
            }
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            let at = bodies.iter().position(|(number, _)| *number == stream);
            let (_, body) = bodies.swap_remove(at.expect("an open stream"));
            request(conn, stream, body);
        }
    });
}
