//! Version 1: one line of text (section 2.1).

use super::{Header, Malformed, Parsed, check_source};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line with its CRLF, by definition.
const MAX_LINE_BYTES: usize = 107;
/// How it begins; the space is part of it.
const START: &[u8] = b"PROXY ";
/// Spaces between the six fields: `PROXY`, protocol, two addresses, two ports.
const SPACES: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Tcp4,
    Tcp6,
    Unknown,
}

/// As much of the line as there is.
#[derive(Clone, Copy, Debug)]
struct Line<'b> {
    /// Without its end.
    text: &'b [u8],
    /// Whether there will be no more of it: the CR has been seen.
    ended: bool,
    /// Whether the LF has been seen, too.
    complete: bool,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let start = bytes.len().min(START.len());
    if bytes[..start] != START[..start] {
        return Err(Malformed::Signature);
    }
    let line = line(bytes)?;
    let mut fields = Fields { rest: &line.text[line.text.len().min(START.len())..], line };
    let header = match fields.take(protocol_start, protocol)? {
        None => None,
        Some(Protocol::Unknown) => Some(Header::Local),
        Some(Protocol::Tcp4) => fields.ends(address_start::<Ipv4Addr>, address::<Ipv4Addr>)?,
        Some(Protocol::Tcp6) => fields.ends(address_start::<Ipv6Addr>, address::<Ipv6Addr>)?,
    };
    Ok(match header {
        Some(header) if line.complete => {
            Parsed::Complete { header, length: line.text.len() + b"\r\n".len() }
        }
        _ => Parsed::Incomplete,
    })
}

fn line(bytes: &[u8]) -> Result<Line<'_>, Malformed> {
    // The CR is the last but one of a line at the latest.
    let room = &bytes[..bytes.len().min(MAX_LINE_BYTES - 1)];
    let Some(end) = room.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        let full = room.len() == MAX_LINE_BYTES - 1;
        let open = Line { text: room, ended: false, complete: false };
        return if full { Err(Malformed::TooLong) } else { Ok(open) };
    };
    let text = &bytes[..end];
    match &bytes[end..] {
        [b'\r', b'\n', ..] => Ok(Line { text, ended: true, complete: true }),
        [b'\r'] => Ok(Line { text, ended: true, complete: false }),
        _ => Err(Malformed::LineEnd),
    }
}

/// The fields of a line that are still to be read.
#[derive(Debug)]
struct Fields<'b> {
    rest: &'b [u8],
    line: Line<'b>,
}

/// Checks a field that may go on, or reads one that does not.
type Start = fn(&[u8]) -> Result<(), Malformed>;
type Whole<T> = fn(&[u8]) -> Result<T, Malformed>;

impl Fields<'_> {
    /// The next field, `None` if it may go on behind the bytes that are there.
    fn take<T>(&mut self, start: Start, whole: Whole<T>) -> Result<Option<T>, Malformed> {
        let field = self.rest;
        match field.iter().position(|&byte| byte == b' ') {
            Some(end) => {
                self.rest = &field[end + 1..];
                whole(&field[..end]).map(Some)
            }
            None if self.line.ended => {
                self.rest = &[];
                whole(field).map(Some)
            }
            None => start(field).map(|()| None),
        }
    }

    /// The two ends of a TCP connection.
    fn ends(&mut self, start: Start, address: Whole<IpAddr>) -> Result<Option<Header>, Malformed> {
        let spaces = self.line.text.iter().filter(|&&byte| byte == b' ').count();
        if spaces > SPACES || self.line.ended && spaces < SPACES {
            return Err(Malformed::Fields);
        }
        let Some(source) = self.take(start, address)? else { return Ok(None) };
        check_source(source)?;
        let Some(destination) = self.take(start, address)? else { return Ok(None) };
        let Some(from) = self.take(port_start, port)? else { return Ok(None) };
        let Some(to) = self.take(port_start, port)? else { return Ok(None) };
        Ok(Some(Header::Proxied {
            source: SocketAddr::new(source, from),
            destination: SocketAddr::new(destination, to),
        }))
    }
}

fn protocol_start(field: &[u8]) -> Result<(), Malformed> {
    let begins = |word: &[u8]| word.starts_with(field);
    let known = begins(b"TCP4") || begins(b"TCP6") || begins(b"UNKNOWN");
    if known { Ok(()) } else { Err(Malformed::Protocol) }
}

fn protocol(field: &[u8]) -> Result<Protocol, Malformed> {
    match field {
        b"TCP4" => Ok(Protocol::Tcp4),
        b"TCP6" => Ok(Protocol::Tcp6),
        b"UNKNOWN" => Ok(Protocol::Unknown),
        _ => Err(Malformed::Protocol),
    }
}

/// Differences between the two families.
trait Family: std::str::FromStr + Into<IpAddr> {
    /// The longest address as text.
    const MAX_BYTES: usize;

    /// Whether the byte can be part of one.
    fn may_contain(byte: u8) -> bool;
}

impl Family for Ipv4Addr {
    const MAX_BYTES: usize = "255.255.255.255".len();

    fn may_contain(byte: u8) -> bool {
        byte.is_ascii_digit() || byte == b'.'
    }
}

impl Family for Ipv6Addr {
    const MAX_BYTES: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

    /// `inet_ntop` writes mapped IPv4 with dots, and the senders use it.
    fn may_contain(byte: u8) -> bool {
        byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
    }
}

fn address_start<F: Family>(field: &[u8]) -> Result<(), Malformed> {
    let fits = field.len() <= F::MAX_BYTES && field.iter().all(|&byte| F::may_contain(byte));
    if fits { Ok(()) } else { Err(Malformed::Address) }
}

/// The parsers of the standard library refuse leading zeros, scopes and brackets.
fn address<F: Family>(field: &[u8]) -> Result<IpAddr, Malformed> {
    let text = std::str::from_utf8(field).map_err(|_| Malformed::Address)?;
    text.parse::<F>().map(Into::into).map_err(|_| Malformed::Address)
}

fn port_start(field: &[u8]) -> Result<(), Malformed> {
    if field.is_empty() { Ok(()) } else { port(field).map(|_| ()) }
}

fn port(field: &[u8]) -> Result<u16, Malformed> {
    let digits = field.iter().all(u8::is_ascii_digit);
    if !digits || field.len() > 1 && field[0] == b'0' {
        return Err(Malformed::Port);
    }
    let text = std::str::from_utf8(field).map_err(|_| Malformed::Port)?;
    text.parse().map_err(|_| Malformed::Port)
}
