//! Single frames of HTTP/2 (RFC 9113 section 4), for what no proper client sends.

use crate::client::Client;
use crate::secured::{HOST, offering};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// `REFUSED_STREAM` (RFC 9113 section 7).
pub(crate) const REFUSED_STREAM: u32 = 7;
/// `PROTOCOL_ERROR`.
pub(crate) const PROTOCOL_ERROR: u32 = 1;

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a reset.
    pub(crate) fn error(&self) -> u32 {
        assert_eq!(self.kind, RST_STREAM);
        u32::from_be_bytes(self.payload[..].try_into().expect("four bytes"))
    }

    /// The parameters of SETTINGS: identifiers and values.
    pub(crate) fn settings(&self) -> Vec<(u16, u32)> {
        assert_eq!(self.kind, SETTINGS);
        let parameter = |bytes: &[u8]| {
            let value = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
            (u16::from_be_bytes([bytes[0], bytes[1]]), value)
        };
        self.payload.chunks_exact(6).map(parameter).collect()
    }
}

/// A connection of which the test writes every frame.
pub(crate) struct Frames(Client);

impl Frames {
    /// Sends the preface and takes the server's SETTINGS, which are returned.
    pub(crate) fn open(addr: SocketAddr) -> (Self, Frame) {
        Self::over(TcpStream::connect(addr).expect("the proxy listens"))
    }

    /// The same, over this socket.
    pub(crate) fn over(socket: TcpStream) -> (Self, Frame) {
        Self::try_over(socket).expect("a handshake, and SETTINGS come first")
    }

    /// The same; `None` if the proxy does not want it.
    pub(crate) fn try_over(socket: TcpStream) -> Option<(Self, Frame)> {
        let config = offering(&["h2"]);
        let client = Client::over(socket, HOST, &config).ok()?;
        assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"h2"[..]));
        let mut frames = Self(client);
        frames.try_send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frames.try_send(&frame(SETTINGS, 0, 0, &[]));
        let settings = frames.next()?;
        frames.try_send(&frame(SETTINGS, ACK, 0, &[]));
        Some((frames, settings))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.send(bytes);
    }

    /// Sends what the proxy may no longer want to read.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.stream.write_all(bytes).and_then(|()| self.0.stream.flush()).is_ok()
    }

    /// The next frame; `None` at the end of the connection. PING is answered.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let frame = self.read()?;
        if frame.kind == PING && frame.flags & ACK == 0 {
            // The proxy may have gone.
            self.try_send(&self::frame(PING, ACK, 0, &frame.payload));
        }
        Some(frame)
    }

    fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.stream.read_exact(&mut head).ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.0.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind.
    pub(crate) fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().expect("a frame and not the end");
            if frame.kind == kind {
                return frame;
            }
        }
    }
}

/// A frame as bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Room for so many bytes more on all streams of a connection together (RFC 9113 section 6.9).
pub(crate) fn window(bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes())
}

/// HEADERS that are a whole GET of a path, with further fields.
pub(crate) fn get(stream: u32, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path)];
    headers(END_STREAM, stream, &[&pseudo, fields].concat())
}

/// HEADERS of a POST of a path, whose body follows.
pub(crate) fn post(stream: u32, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", path)];
    headers(0, stream, &[&pseudo, fields].concat())
}

/// Trailers.
pub(crate) fn end_with(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    headers(END_STREAM, stream, fields)
}

/// HEADERS that ask for a connection, with fields of its own.
pub(crate) fn connect(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    headers(0, stream, &[&[(":method", "CONNECT")], fields].concat())
}

/// HEADERS with these fields, whatever they are.
pub(crate) fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// A reset of a stream.
pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    const CANCEL: u32 = 8;
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// A literal field without indexing (RFC 7541 section 6.2.2), neither part of it coded.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let short = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127);
    let mut bytes = vec![0, short(name).expect("a short name")];
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(short(value).expect("a short value"));
    bytes.extend_from_slice(value.as_bytes());
    bytes
}
