//! A chunked body, decoded (RFC 9112 section 7.1).
//!
//! Extensions are dropped, as section 7.1.1 asks of a recipient that does not know them. Whatever hyper's decoder
//! would not take is refused here as well (`upstream/http1/tests.rs`). What clients send has passed [`ChunkGrammar`]
//! before.
//!
//! [`ChunkGrammar`]: super::ChunkGrammar

use super::BadChunk;
use crate::net::fields::TrailerMap;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use memchr::{memchr, memmem};

/// The most bytes of a line with a size, and of all extensions of a body together.
const MOST_EXTENSION: usize = 16 * 1024;

/// The most bytes of a trailer section.
const MOST_TRAILERS: usize = 16 * 1024;

/// The most fields of a trailer section.
const MOST_TRAILER_FIELDS: usize = 100;

/// The longest size in digits: what 64 bits hold, and zeros before it.
const MOST_DIGITS: usize = 64;

/// Where in its framing a body is.
#[derive(Debug)]
pub struct Chunked {
    at: At,
    /// Bytes of extensions so far.
    extensions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a line with a size.
    Size,
    /// So many bytes of a chunk are to come.
    Data(u64),
    /// Before the line end behind a chunk.
    DataEnd,
    /// Behind the last chunk.
    Trailers,
    End,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A part of the data.
    Data(Bytes),
    /// Its trailers, behind which it ends.
    Trailers(TrailerMap),
    /// It has ended.
    End,
    /// More bytes are needed.
    More,
}

impl Chunked {
    /// Before the first chunk.
    pub fn begin() -> Self {
        Self { at: At::Size, extensions: 0 }
    }

    /// Whether all of it has been decoded.
    pub fn is_ended(&self) -> bool {
        self.at == At::End
    }

    /// Takes what comes next from the bytes that were read. Of the data, as much as is there.
    ///
    /// # Errors
    /// The body breaks its own framing.
    pub fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, BadChunk> {
        loop {
            self.at = match self.at {
                At::Size => match self.size(bytes)? {
                    None => return Ok(Decoded::More),
                    Some(0) => At::Trailers,
                    Some(size) => At::Data(size),
                },
                At::Data(_) if bytes.is_empty() => return Ok(Decoded::More),
                At::Data(left) => {
                    let now =
                        usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let data = bytes.split_to(now).freeze();
                    let left = left - now as u64;
                    self.at = if left == 0 { At::DataEnd } else { At::Data(left) };
                    return Ok(Decoded::Data(data));
                }
                At::DataEnd => match bytes.get(..2) {
                    Some(b"\r\n") => {
                        bytes.advance(2);
                        At::Size
                    }
                    None if bytes.first().is_none_or(|byte| *byte == b'\r') => {
                        return Ok(Decoded::More);
                    }
                    _ => return Err(BadChunk),
                },
                At::Trailers => match trailers(bytes)? {
                    None => return Ok(Decoded::More),
                    Some(trailers) => {
                        self.at = At::End;
                        return Ok(trailers.map_or(Decoded::End, Decoded::Trailers));
                    }
                },
                At::End => return Ok(Decoded::End),
            };
        }
    }

    /// Passes over the end of the body, if all of it is here: who has the last data need not ask again.
    pub fn try_end(&mut self, bytes: &mut BytesMut) {
        if self.at == At::DataEnd && bytes.starts_with(b"\r\n0\r\n\r\n") {
            bytes.advance(7);
            self.at = At::End;
        }
    }

    /// The size of the next chunk, if its line is here.
    fn size(&mut self, bytes: &mut BytesMut) -> Result<Option<u64>, BadChunk> {
        let Some(end) = memchr(b'\n', bytes) else {
            let is_bad = bytes.len() > MOST_EXTENSION
                || bytes.first().is_some_and(|byte| !byte.is_ascii_hexdigit());
            return if is_bad { Err(BadChunk) } else { Ok(None) };
        };
        let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(BadChunk)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, rest) = line.split_at(digits);
        if size.is_empty() || size.len() > MOST_DIGITS || rest.contains(&b'\r') {
            return Err(BadChunk);
        }
        // Space may stand before an extension, and by itself: some servers pad the size.
        if !matches!(rest.trim_ascii_start().first(), None | Some(b';')) {
            return Err(BadChunk);
        }
        self.extensions += rest.len();
        if self.extensions > MOST_EXTENSION {
            return Err(BadChunk);
        }
        let size = size.iter().try_fold(0_u64, |size, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            size.checked_mul(16)?.checked_add(u64::from(digit))
        });
        bytes.advance(end + 1);
        size.map(Some).ok_or(BadChunk)
    }
}

/// The trailer section, if all of it is here; `Some(None)` if it is empty.
fn trailers(bytes: &mut BytesMut) -> Result<Option<Option<TrailerMap>>, BadChunk> {
    match bytes.get(..2) {
        Some(b"\r\n") => {
            bytes.advance(2);
            return Ok(Some(None));
        }
        None => return Ok(None),
        Some(_) => {}
    }
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > MOST_TRAILERS { Err(BadChunk) } else { Ok(None) };
    };
    let section = bytes.split_to(end + 4);
    if section.len() > MOST_TRAILERS {
        return Err(BadChunk);
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILER_FIELDS];
    let Ok(httparse::Status::Complete((length, fields))) =
        httparse::parse_headers(&section, &mut fields)
    else {
        return Err(BadChunk);
    };
    // It takes a bare line feed for a line end, at which others do not end a section.
    if length != section.len() {
        return Err(BadChunk);
    }
    let mut map = TrailerMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadChunk)?;
        map.append(name, HeaderValue::from_bytes(field.value).map_err(|_| BadChunk)?);
    }
    Ok(Some(Some(map)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a body, its trailers, and how many bytes of the text are not read.
    type Whole = (Vec<u8>, Option<TrailerMap>, usize);

    /// All data and the trailers of a body that comes in pieces of this size, and how many bytes of it are not read.
    fn decode(text: &[u8], size: usize) -> Result<Option<Whole>, BadChunk> {
        let (mut chunked, mut bytes) = (Chunked::begin(), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), None);
        let mut pieces = text.chunks(size);
        let mut came = 0;
        loop {
            match chunked.decode(&mut bytes)? {
                Decoded::Data(piece) => {
                    data.extend_from_slice(&piece);
                    chunked.try_end(&mut bytes);
                }
                Decoded::Trailers(map) => trailers = Some(map),
                Decoded::End => return Ok(Some((data, trailers, text.len() - came + bytes.len()))),
                Decoded::More => {
                    let Some(piece) = pieces.next() else { return Ok(None) };
                    came += piece.len();
                    bytes.extend_from_slice(piece);
                }
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let mut fields = TrailerMap::new();
        fields.append("x-sum", HeaderValue::from_static("1"));
        for (text, data, trailers) in [
            ("0\r\n\r\n", "", None),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", None),
            ("005 ;a=\"b\"\r\nhello\r\n00\r\n\r\n", "hello", None),
            ("1 \r\nx\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n", "x0123456789", Some(fields)),
        ] {
            let whole = format!("{text}HTTP/1.1 200 OK");
            for size in 1..=whole.len() {
                let decoded = decode(whole.as_bytes(), size);
                let expected = Ok(Some((data.into(), trailers.clone(), "HTTP/1.1 200 OK".len())));
                assert_eq!(decoded, expected, "{text:?} in pieces of {size}");
            }
            assert_eq!(decode(&text.as_bytes()[..text.len() - 1], 7), Ok(None), "{text:?} cut off");
        }
    }

    #[test]
    fn what_is_no_framing_is_an_error() {
        let long = format!("1;{}\r\nx\r\n", "a".repeat(MOST_EXTENSION));
        let trailers = format!("0\r\nx: {}\r\n\r\n", "a".repeat(MOST_TRAILERS));
        let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(MOST_TRAILER_FIELDS + 1));
        for text in [
            "\r\n",
            "x\r\n",
            ";a\r\n",
            "1\n",
            "1 2\r\n",
            "1\r\r\n",
            "1\r\nab\r\n",
            "1\r\na\n0\r\n\r\n",
            "10000000000000000\r\n",
            "0\r\nno field\r\n\r\n",
            "0\r\na: b\n\nc: d\r\n\r\n",
            &long,
            &trailers,
            &many,
        ] {
            for size in [1, text.len()] {
                assert_eq!(decode(text.as_bytes(), size), Err(BadChunk), "{text:?}");
            }
        }
    }
}
