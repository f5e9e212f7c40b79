//! What has to hold for any bytes at all. libFuzzer finds the bytes (`bin/`), and the tests of the
//! crate run the same functions over the corpus and mutations of it (`main.rs`).

#![allow(dead_code, reason = "each program of libFuzzer runs one of them")]

use bytes::BytesMut;
use ravelin::control::last_good;
use ravelin::control::objects::{Object, Objects};
use ravelin::net::http1::{BadChunk, ChunkGrammar, Chunked, Decoded};
use ravelin::transport::proxy_protocol::{Header, MAX_HEADER_BYTES, Malformed, Parsed, parse};
use std::io::Cursor;
use std::net::SocketAddr;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 1: the bytes as they are, and behind each beginning.
pub(crate) fn v1(data: &[u8]) {
    for start in ["", "PROXY ", "PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN"] {
        let bytes = [start.as_bytes(), data].concat();
        let Some((header, length)) = checked(&bytes) else { continue };
        if bytes[0] != b'P' {
            continue;
        }
        assert!(length <= 107 && bytes[..length].ends_with(b"\r\n"));
        let line = &bytes[..length - 2];
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
        match header {
            Header::Local => assert!(line.starts_with(b"PROXY UNKNOWN")),
            Header::Proxied { source, destination } => {
                assert_eq!(fields(line), [source.to_string(), destination.to_string()]);
            }
        }
    }
}

/// The line in another way: whatever the fields are, they are what was understood.
fn fields(line: &[u8]) -> [String; 2] {
    let line = std::str::from_utf8(line).expect("ASCII");
    let fields: Vec<&str> = line.split(' ').collect();
    let &["PROXY", family, source, destination, from, to] = &fields[..] else {
        panic!("not six fields: {line}")
    };
    let end = |ip: &str, port: &str| {
        let text = if family == "TCP4" { format!("{ip}:{port}") } else { format!("[{ip}]:{port}") };
        let address: SocketAddr = text.parse().expect("an address");
        assert_eq!(address.port().to_string(), port);
        address.to_string()
    };
    [end(source, from), end(destination, to)]
}

/// Version 2: the bytes as they are, and behind each beginning.
pub(crate) fn v2(data: &[u8]) {
    for start in [&b""[..], SIGNATURE, &[SIGNATURE, b"\x21"].concat(), &framed(data)] {
        let bytes = [start, data].concat();
        let Some((header, length)) = checked(&bytes) else { continue };
        if !bytes.starts_with(SIGNATURE) {
            continue;
        }
        let [_, _, high, low] = bytes[12..16] else { unreachable!("four bytes") };
        assert_eq!(length, 16 + usize::from(u16::from_be_bytes([high, low])));
        match header {
            Header::Local => assert!(bytes[12] == 0x20 || !matches!(bytes[13], 0x11 | 0x21)),
            Header::Proxied { source, destination } => {
                assert_eq!(bytes[12], 0x21);
                assert_eq!(encoded(source, destination), bytes[16..][..block(source)]);
            }
        }
    }
}

/// The fixed part of a header whose block the bytes are.
fn framed(data: &[u8]) -> Vec<u8> {
    let family = if data.len() < 36 { 0x11 } else { 0x21 };
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [SIGNATURE, &[0x21, family], &length].concat()
}

fn block(source: SocketAddr) -> usize {
    if source.is_ipv4() { 12 } else { 36 }
}

fn encoded(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => v4.ip().octets().to_vec(),
        SocketAddr::V6(v6) => v6.ip().octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()];
    [octets(source), octets(destination), ports.concat()].concat()
}

/// The first byte is a number of segments, then come their lengths, then the stream: a reader that
/// takes what is incomplete and waits finds what one finds that sees everything at once.
pub(crate) fn split(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else { return };
    let count = usize::from(count).min(rest.len()).min(16);
    let (lengths, stream) = rest.split_at(count);
    let mut known = 0;
    let mut taken = 0;
    let mut result = Ok(Parsed::Incomplete);
    for length in lengths.iter().map(|&length| usize::from(length)).chain([stream.len()]) {
        known = stream.len().min(known + length);
        result = parse(&stream[..known]);
        match result {
            Ok(Parsed::Incomplete) => taken = known,
            Ok(Parsed::Complete { length, .. }) => {
                assert!(taken < length && length <= known);
                break;
            }
            Err(_) => break,
        }
    }
    assert_same(result, parse(stream));
}

/// The first byte is the size of the pieces in which the rest comes, a chunked body: read in pieces it is what it is as a
/// whole, and if its grammar finds an end, that is the end.
pub(crate) fn chunks(data: &[u8]) {
    let Some((&size, text)) = data.split_first() else { return };
    let (pieces, whole) =
        (decoded(text, usize::from(size).max(1)), decoded(text, text.len().max(1)));
    assert_eq!(pieces, whole);
    let mut grammar = ChunkGrammar::begin();
    // The grammar passes over trailers that are no fields.
    if let (Ok((length, true)), Ok(Some((data, rest)))) = (grammar.read(text), whole) {
        assert_eq!(rest, text.len() - length, "they end at the same byte");
        assert!(data.len() < length);
    }
}

/// The data of a body that comes in pieces of this size, and how many bytes are left behind it. `None` if it does not end.
fn decoded(text: &[u8], size: usize) -> Result<Option<(Vec<u8>, usize)>, BadChunk> {
    let (mut chunked, mut bytes, mut data) = (Chunked::begin(), BytesMut::new(), Vec::new());
    let (mut pieces, mut came) = (text.chunks(size), 0);
    loop {
        match chunked.decode(&mut bytes)? {
            Decoded::Data(piece) => data.extend_from_slice(&piece),
            Decoded::Trailers(_) | Decoded::End => {
                return Ok(Some((data, text.len() - came + bytes.len())));
            }
            Decoded::More => {
                let Some(piece) = pieces.next() else { return Ok(None) };
                came += piece.len();
                bytes.extend_from_slice(piece);
            }
        }
    }
}

/// Parses, and holds the parser to its word on fewer bytes and on more.
fn checked(bytes: &[u8]) -> Option<(Header, usize)> {
    let whole = parse(bytes);
    // Long inputs say nothing new behind the bound.
    for end in 0..bytes.len().min(MAX_HEADER_BYTES + 1) {
        match parse(&bytes[..end]) {
            Ok(Parsed::Incomplete) => {}
            other => {
                assert_same(other, whole);
                break;
            }
        }
    }
    match whole {
        Ok(Parsed::Incomplete) => {
            assert!(bytes.len() < MAX_HEADER_BYTES);
            None
        }
        Ok(Parsed::Complete { header, length }) => {
            assert!(0 < length && length <= bytes.len().min(MAX_HEADER_BYTES));
            if let Header::Proxied { source, .. } = header {
                assert!(!source.ip().to_canonical().is_unspecified());
            }
            Some((header, length))
        }
        Err(_) => None,
    }
}

/// The same header, or malformed both times: the first broken rule may be another one.
fn assert_same(fewer: Result<Parsed, Malformed>, more: Result<Parsed, Malformed>) {
    match (fewer, more) {
        (Err(_), Err(_)) => {}
        (fewer, more) => assert_eq!(fewer, more),
    }
}

/// The last good state of a cluster: as a file, which almost never has the digest of its content, and
/// as the lines before the digest, alone and behind a good first one.
pub(crate) fn last_good(data: &[u8]) {
    const FIRST: &str = "{\"ravelin\":\"last-good state of a cluster\",\"format\":1,\
        \"written\":\"2026-01-02T03:04:05Z\",\"confirmed\":\"2026-01-02T03:04:05Z\",\
        \"certificates\":true,\"scopes\":[{\"kind\":\"Ingress\"}]}\n";
    let mut read = vec![last_good::read(Cursor::new(data))];
    for first in ["", FIRST] {
        read.push(last_good::read_lines(&[first.as_bytes(), data].concat()[..]));
    }
    for (header, objects) in read.into_iter().flatten() {
        let written = kept(&header, objects);
        let (same, objects) = last_good::read(Cursor::new(&written)).expect("it was just written");
        assert_eq!(same, header);
        assert!(written == kept(&same, objects), "written again, it is another file");
    }
}

/// The whole file.
fn kept(header: &last_good::StateFileHeader, objects: Vec<Object>) -> Vec<u8> {
    let mut all = Objects::default();
    objects.into_iter().for_each(|object| drop(all.insert(object)));
    let mut file = Vec::new();
    last_good::write(&mut file, header, &all).expect("what was read can be written");
    file
}
