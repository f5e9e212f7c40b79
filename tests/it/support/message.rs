//! A strict reader of HTTP/1.1: whatever RFC 9112 forbids is a fault, not something to put up with.

use super::PATIENCE;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

/// Field names in lower case, and values, in the order received.
pub(crate) type Fields = Vec<(String, String)>;

/// Why a message could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The other end closed or reset the connection in the middle.
    Closed,
    /// Nothing came for a long time.
    Silent,
    /// It is not HTTP.
    Invalid(String),
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Bodyless,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The connection closes.
    Close,
}

/// A request or a response.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    pub(crate) fields: Fields,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
    /// Whether the body came to its proper end.
    pub(crate) whole: bool,
}

/// Status and reason of an answer of ours.
#[track_caller]
pub(crate) fn refused(answer: &Message, status: u16, reason: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert!(answer.text().contains(reason), "{}", answer.text());
}

impl Message {
    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.start[9..12].parse().expect("checked when it was read")
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().expect("split gives one at least")
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).expect("checked when it was read")
    }

    /// The value of a field that may be there once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = values.next();
        assert_eq!(values.next(), None, "{name} is there twice");
        first
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The fields, sorted.
    pub(crate) fn sorted_fields(&self) -> Vec<String> {
        let mut all: Vec<_> = self.fields.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        all.sort();
        all
    }
}

/// One end of a connection, with what was read from it too early.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    /// The version that responses have to be in.
    pub(super) version: &'static str,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Vec::new(), start: 0, version: "HTTP/1.1" }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Waits for the next byte or the end, however long that takes.
    pub(super) fn wait(&mut self) {
        if self.unread().is_empty() {
            self.stream.set_read_timeout(None).expect("a socket");
            // What went wrong is told by the next read.
            let _ = self.stream.peek(&mut [0]);
            self.stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        }
    }

    /// Reads some more.
    fn fill(&mut self) -> Result<(), Fault> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let held = self.buffer.len();
        self.buffer.resize(held + 256 * 1024, 0);
        let read = self.stream.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(Fault::Closed),
            Ok(_) => Ok(()),
            // Linux says EPIPE where the reset comes behind the end.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
            {
                Err(Fault::Closed)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Fault::Silent)
            }
            Err(error) => Err(Fault::Invalid(error.to_string())),
        }
    }

    /// What comes before the other end closes, which it has to do.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(Fault::Closed) => return self.unread().to_vec(),
                Err(fault) => panic!("the connection does not end: {fault:?}"),
            }
        }
    }

    fn line(&mut self) -> Result<String, Fault> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.unread()[searched..].iter().position(|&b| b == b'\n') {
                let end = searched + end;
                let line = self.unread()[..=end].to_vec();
                self.start += end + 1;
                let text = String::from_utf8(line).map_err(|e| Fault::Invalid(e.to_string()))?;
                let Some(text) = text.strip_suffix("\r\n").filter(|text| !text.contains('\r'))
                else {
                    return Err(Fault::Invalid(format!(
                        "a line that is not ended by CRLF: {text:?}"
                    )));
                };
                return Ok(text.to_owned());
            }
            searched = self.unread().len();
            self.fill()?;
        }
    }

    /// The first line and the fields; `None` if the connection closes before.
    pub(crate) fn head(&mut self) -> Result<Option<Message>, Fault> {
        if self.unread().is_empty() {
            match self.fill() {
                Err(Fault::Closed) => return Ok(None),
                other => other?,
            }
        }
        let start = self.line()?;
        check_start(&start, self.version)?;
        let fields = self.fields()?;
        let framing = framing(&start, &fields)?;
        let (body, trailers) = (Vec::new(), Vec::new());
        let whole = framing == Framing::Bodyless;
        Ok(Some(Message { start, fields, framing, body, trailers, whole }))
    }

    fn fields(&mut self) -> Result<Fields, Fault> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let split = line.split_once(':').filter(|(name, _)| is_token(name));
            let Some((name, value)) = split else {
                return Err(Fault::Invalid(format!("not a field: {line:?}")));
            };
            fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// Reads the body of `message`, keeping it.
    pub(crate) fn body(&mut self, message: &mut Message) -> Result<(), Fault> {
        let mut body = std::mem::take(&mut message.body);
        let result = self.body_into(message, |bytes| body.extend_from_slice(bytes));
        message.body = body;
        result
    }

    /// Reads the body of `message` into `sink`.
    pub(crate) fn body_into(
        &mut self,
        message: &mut Message,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), Fault> {
        match message.framing {
            Framing::Bodyless => {}
            Framing::Length(length) => self.take(length, &mut sink)?,
            Framing::Chunked => message.trailers = self.chunks(&mut sink)?,
            Framing::Close => match self.take(u64::MAX, &mut sink) {
                Err(Fault::Closed) => {}
                other => other?,
            },
        }
        message.whole = true;
        Ok(())
    }

    /// Reads one chunk of a body: what the other end has sent so far, and not its end.
    pub(crate) fn chunk(&mut self) -> Result<Vec<u8>, Fault> {
        let line = self.line()?;
        let size = u64::from_str_radix(&line, 16).map_err(|e| Fault::Invalid(e.to_string()))?;
        let mut chunk = Vec::new();
        self.take(size, &mut |bytes: &[u8]| chunk.extend_from_slice(bytes))?;
        self.line().map(|_| chunk)
    }

    fn chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<Fields, Fault> {
        loop {
            let line = self.line()?;
            let size = u64::from_str_radix(&line, 16)
                .ok()
                .filter(|_| line.bytes().all(|b| b.is_ascii_hexdigit()))
                .ok_or_else(|| Fault::Invalid(format!("not a chunk size: {line:?}")))?;
            if size == 0 {
                return self.fields();
            }
            self.take(size, sink)?;
            let end = self.line()?;
            if !end.is_empty() {
                return Err(Fault::Invalid(format!("after a chunk: {end:?}")));
            }
        }
    }

    fn take(&mut self, mut left: u64, sink: &mut impl FnMut(&[u8])) -> Result<(), Fault> {
        while left > 0 {
            if self.unread().is_empty() {
                self.fill()?;
            }
            let held = self.unread().len();
            let now = usize::try_from(left).map_or(held, |left| left.min(held));
            sink(&self.buffer[self.start..self.start + now]);
            self.start += now;
            left -= now as u64;
        }
        Ok(())
    }
}

/// RFC 9112 sections 3 and 4.
fn check_start(start: &str, version: &str) -> Result<(), Fault> {
    let parts: Vec<&str> = start.splitn(3, ' ').collect();
    let valid = match parts[..] {
        [first, status, _] if first == version => {
            status.len() == 3 && status.parse::<u16>().is_ok()
        }
        [method, target, "HTTP/1.1"] => is_token(method) && !target.is_empty(),
        _ => false,
    };
    if valid { Ok(()) } else { Err(Fault::Invalid(format!("not a first line: {start:?}"))) }
}

fn is_token(name: &str) -> bool {
    let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(is_tchar)
}

/// RFC 9112 section 6.3, without what it merely tolerates.
fn framing(start: &str, fields: &Fields) -> Result<Framing, Fault> {
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    };
    let (lengths, encodings) = (all("content-length"), all("transfer-encoding"));
    let status: u16 = match start.strip_prefix("HTTP/1.") {
        Some(rest) => rest[2..5].parse().map_err(|_| Fault::Invalid(start.to_owned()))?,
        None => 0,
    };
    let bodyless = (100..200).contains(&status) || status == 204 || status == 304;
    match (&lengths[..], &encodings[..]) {
        (_, []) if bodyless => Ok(Framing::Bodyless),
        ([], ["chunked"]) if !bodyless => Ok(Framing::Chunked),
        ([], []) if status == 0 => Ok(Framing::Bodyless),
        ([], []) => Ok(Framing::Close),
        ([length], []) if length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|e| Fault::Invalid(e.to_string()))
        }
        _ => Err(Fault::Invalid(format!("framed by {lengths:?} and {encodings:?}"))),
    }
}

/// A chunked body.
pub(crate) fn chunked(chunks: &[&str]) -> String {
    let chunks = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    chunks.collect::<String>() + "0\r\n\r\n"
}
