//! The bytes of HTTP/1.1 before hyper parses them: checks and rewrites that hyper does not offer.
//!
//! hyper finds where requests and bodies end. It reports that with each request ([`Framing`]), before it
//! reads on, so bytes after each head are held back until then. In between, fragments in targets are
//! rejected (hyper drops them), bytes that RFC 3986 does not allow in targets are escaped (hyper rejects
//! some), and the chunk grammar is enforced.

use crate::error::Reason;
use crate::net::http1::ChunkGrammar;

use std::io;

/// Most bytes that are kept of the first line of a refused request, for the log.
const MOST_LINE_BYTES: usize = 1024;

/// The first line of what has come, for the log.
pub fn first_line(bytes: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = bytes.iter().position(|byte| !is_end(byte)).unwrap_or(bytes.len());
    let line = bytes[start..].split(is_end).next().unwrap_or_default();
    &line[..line.len().min(MOST_LINE_BYTES)]
}

/// How hyper reads the body of the request that it has handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// By chunks.
    Chunked,
    /// There is none, and another protocol may follow if the pod agrees to it.
    Upgrade,
}

/// Where in its requests a client is.
#[derive(Debug)]
pub(super) struct RawReader {
    at: At,
    /// Why the head that was read last is refused, and its first line.
    refused: Option<(Reason, Vec<u8>)>,
    /// A request for another protocol has no answer yet: no byte is exchanged.
    verbatim: bool,
    /// Bytes of the head that is read, or was read last, as it came.
    head: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first byte of a request line.
    Start,
    Method,
    Target,
    Version,
    /// At the begin of a line, in which `true`: a carriage return has come.
    Line(bool),
    InLine,
    /// Behind a head: what follows is for hyper to say.
    Through,
    Length(u64),
    Chunks(ChunkGrammar),
}

/// Selects the bytes for hyper.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// All of them.
    Whole,
    /// So many; the rest has to wait.
    Part(usize),
    /// For so many of them these; the rest has to wait.
    Instead(usize, Vec<u8>),
}

impl RawReader {
    /// Before the first request.
    pub(super) fn new() -> Self {
        Self { at: At::Start, refused: None, verbatim: false, head: 0 }
    }

    /// How many bytes of a head have come, of the one that was read last if it is through.
    pub(super) fn head(&self) -> usize {
        self.head
    }

    /// Whether what comes next is of a body that has begun.
    pub(super) fn is_in_body(&self) -> bool {
        matches!(self.at, At::Length(_) | At::Chunks(_))
    }

    /// Why the head that was read last is refused, if it was refused here.
    pub(super) fn refused(&self) -> Option<Reason> {
        self.refused.as_ref().map(|(reason, _)| *reason)
    }

    /// The first line of a head that was refused here.
    pub(super) fn refused_line(&self) -> Option<&[u8]> {
        self.refused.as_ref().map(|(_, line)| &**line)
    }

    /// Reads what has come. `framing` is the last report of hyper, if there was one since the last call;
    /// `answered`: whether the answer to that request is through.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        framing: Option<Framing>,
        answered: bool,
    ) -> io::Result<Passed> {
        self.at = match (framing, self.at) {
            (Some(Framing::None | Framing::Upgrade), At::Through) => At::Start,
            (Some(Framing::Length(length)), At::Through) => At::Length(length),
            (Some(Framing::Chunked), At::Through) => At::Chunks(ChunkGrammar::begin()),
            // hyper and we do not agree where a head ends.
            (Some(_), _) | (None, At::Through) => return Err(io::ErrorKind::InvalidData.into()),
            (None, at) => at,
        };
        // The next bytes may be for the other protocol.
        self.verbatim = !answered && (self.verbatim || framing == Some(Framing::Upgrade));
        if framing.is_some() {
            self.head = 0;
        }
        if self.at == At::Start && is_plain_head(bytes) {
            self.at = At::Through;
            self.head += bytes.len();
            return Ok(Passed::Whole);
        }
        self.read_slowly(bytes)
    }

    fn read_slowly(&mut self, bytes: &[u8]) -> io::Result<Passed> {
        let mut passing = Passing { bytes, copied: 0, instead: Vec::new() };
        let (mut position, mut line) = (0, 0);
        while position < bytes.len() {
            let rest = &bytes[position..];
            match self.at {
                At::Through => break,
                At::Length(left) => {
                    let now = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    position += now;
                    let left = left - now as u64;
                    self.at = if left == 0 { At::Start } else { At::Length(left) };
                    continue;
                }
                At::Chunks(mut chunks) => {
                    let read = chunks.read(rest);
                    let (read, ends) =
                        read.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    position += read;
                    self.at = if ends { At::Start } else { At::Chunks(chunks) };
                    continue;
                }
                At::InLine => {
                    let end = memchr::memchr(b'\n', rest);
                    let read = end.map_or(rest.len(), |end| end + 1);
                    (position, self.head) = (position + read, self.head + read);
                    self.at = if end.is_some() { At::Line(false) } else { At::InLine };
                    continue;
                }
                At::Start | At::Method | At::Target | At::Version | At::Line(_) => {}
            }
            let byte = rest[0];
            if self.at == At::Start {
                line = position;
            }
            let is_looked_at = self.at == At::Target && !self.verbatim;
            if is_looked_at && byte == b'#' && self.refused.is_none() {
                self.refused = Some((Reason::BadTarget, first_line(&bytes[line..]).to_vec()));
                // No byte of a request line: hyper refuses it, and we say why.
                passing.put(position, b"\0");
            } else if is_looked_at && has_to_be_escaped(byte) {
                passing.put(position, &escape(byte));
            }
            self.at = step(self.at, byte);
            (position, self.head) = (position + 1, self.head + 1);
        }
        Ok(passing.end(position))
    }
}

/// What comes behind a byte of a head.
fn step(at: At, byte: u8) -> At {
    match (at, byte) {
        // Empty lines before a request line are passed over (RFC 9112 section 2.2).
        (At::Start, b'\r' | b'\n') => At::Start,
        (At::Method | At::Target | At::Version, b'\n') => At::Line(false),
        (At::Start | At::Method, b' ') => At::Target,
        (At::Target, b' ') => At::Version,
        (At::Start, _) => At::Method,
        (At::Line(_), b'\n') => At::Through,
        (At::Line(false), b'\r') => At::Line(true),
        (At::Line(_), _) => At::InLine,
        (at, _) => at,
    }
}

/// How many bytes are looked at at a time. All loops below are over a multiple of it and without a branch for
/// each byte: so the compiler has as many in one register, and no rest to look at one by one.
const WIDE: usize = 16;

/// Whether the bytes are one head from its first byte to its last, with nothing to be done about it:
/// nearly all are. Those that are hard to tell are none.
fn is_plain_head(bytes: &[u8]) -> bool {
    let Some(fields) = bytes.strip_suffix(b"\r\n\r\n") else { return false };
    let Some(line_end) = memchr::memchr(b'\n', bytes) else { return false };
    if matches!(bytes[0], b'\r' | b'\n') || fields.last() == Some(&b'\n') {
        return false;
    }
    is_plain_target(bytes, line_end) && has_no_empty_line(fields)
}

/// Whether there is nothing to be done about the first line. Looks at some bytes behind it, too.
fn is_plain_target(bytes: &[u8], line_end: usize) -> bool {
    let (all, _) = bytes.as_chunks::<WIDE>();
    let Some(first) = all.get(..=line_end / WIDE) else { return false };
    first.as_flattened().iter().fold(0, |odd, byte| odd | is_odd(byte)) == 0
}

/// Whether no line is empty, or begins with a control character, which nobody sends.
fn has_no_empty_line(fields: &[u8]) -> bool {
    let [_, behind @ ..] = fields else { return false };
    let before = &fields[..behind.len()];
    let last = before.last_chunk::<WIDE>().zip(behind.last_chunk::<WIDE>());
    let Some((last, last_behind)) = last else { return empty_lines(before, behind) == 0 };
    let (whole, _) = before.as_chunks::<WIDE>();
    // The last of them in part again, in place of a rest.
    empty_lines(whole.as_flattened(), behind) | empty_lines(last, last_behind) == 0
}

/// Other than 0 if a byte ends a line and the one behind it the next, or is a control character.
#[inline(always)]
fn empty_lines(bytes: &[u8], behind: &[u8]) -> u8 {
    let is_empty = |(&a, &b): (&u8, &u8)| u8::from(a == b'\n') & u8::from(b <= b'\r');
    bytes.iter().zip(behind).fold(0, |found, pair| found | is_empty(pair))
}

/// Other than 0 for a byte of a target that does not go on as it is.
#[inline(always)]
fn is_odd(byte: &u8) -> u8 {
    u8::from(has_to_be_escaped(*byte)) | u8::from(*byte == b'#')
}

/// Whether a byte has no place in a target (RFC 3986 section 2) but is sent in practice. The
/// others of them are escaped in paths, and left as they are in queries, as they always were.
fn has_to_be_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x80..)
}

/// The target of a request line, looked at before the line is parsed.
#[derive(Debug, PartialEq, Eq)]
pub enum RawTarget {
    /// It goes on as it is.
    Plain,
    /// The line with the target as it goes on.
    Escaped(Vec<u8>),
    /// It has a fragment, which no target has (RFC 9112 section 3.2).
    Fragment,
}

/// Looks for bytes in the target of a request line that are sent in practice and have no place there.
pub fn raw_target(line: &[u8]) -> RawTarget {
    if line.iter().fold(0, |odd, byte| odd | is_odd(byte)) == 0 {
        return RawTarget::Plain;
    }
    escaped_target(line)
}

/// How much of the beginning of a request line goes on as it is, whatever follows.
pub fn plain_length(line: &[u8]) -> usize {
    line.iter().position(|byte| is_odd(byte) != 0).unwrap_or(line.len())
}

#[cold]
fn escaped_target(line: &[u8]) -> RawTarget {
    let begin = line.iter().position(|&byte| byte == b' ').map_or(line.len(), |space| space + 1);
    let (method, rest) = line.split_at(begin);
    let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
    let (target, version) = rest.split_at(end);
    if target.contains(&b'#') {
        return RawTarget::Fragment;
    }
    let mut escaped = method.to_vec();
    for &byte in target {
        if has_to_be_escaped(byte) {
            escaped.extend_from_slice(&escape(byte));
        } else {
            escaped.push(byte);
        }
    }
    escaped.extend_from_slice(version);
    RawTarget::Escaped(escaped)
}

fn escape(byte: u8) -> [u8; 3] {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    [b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Bytes on their way to hyper, some of them exchanged.
struct Passing<'b> {
    bytes: &'b [u8],
    /// Up to where `instead` has them.
    copied: usize,
    instead: Vec<u8>,
}

impl Passing<'_> {
    /// Puts something in the place of the byte at a position.
    fn put(&mut self, position: usize, bytes: &[u8]) {
        self.instead.extend_from_slice(&self.bytes[self.copied..position]);
        self.instead.extend_from_slice(bytes);
        self.copied = position + 1;
    }

    /// The bytes for hyper up to a position.
    fn end(mut self, position: usize) -> Passed {
        if self.copied > 0 {
            self.instead.extend_from_slice(&self.bytes[self.copied..position]);
            return Passed::Instead(position, self.instead);
        }
        if position == self.bytes.len() { Passed::Whole } else { Passed::Part(position) }
    }
}

#[cfg(test)]
mod tests;
