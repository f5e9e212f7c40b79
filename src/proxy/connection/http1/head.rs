//! A request head, as it is read (RFC 9112 sections 2 to 6).

use crate::error::Reason;
use crate::http::{RawTarget, plain_length, raw_target};
use crate::net::fields::{FieldMap, Fields};
use crate::net::http1::{FieldPlace, Input, content_length, fill, has_option, is_chunked};
use crate::net::message::Request;
use bytes::{Bytes, BytesMut};
use http::{Method, Uri, Version, header};
use memchr::memchr;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Most fields of a request, as hyper has it; Cloudflare passes on 128 KB of them.
const MOST_FIELDS: usize = 100;

/// Longest target that a head can have, in bytes: what a `Uri` takes. `limits.request_target` is below.
const MOST_TARGET_BYTES: usize = u16::MAX as usize - 1;

/// A request, without its body.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) request: Request<()>,
    /// How long its body is, in bytes; `None` if it comes in chunks.
    pub(super) length: Option<u64>,
    /// Whether the connection may serve another request behind it.
    pub(super) keeps_alive: bool,
    /// Whether the client waits for 100 before it sends the body.
    pub(super) expects_continue: bool,
    /// How long it was, in bytes.
    pub(super) bytes: usize,
}

/// Reads a request head of `most` bytes at most, and takes it from the input. `None` if it is not whole.
///
/// # Errors
/// It is no head, or says of its body what cannot be obeyed. It is still in the input then, for the log.
pub(super) fn read(input: &mut Input, most: usize) -> Result<Option<RequestHead>, Reason> {
    let Input { bytes, places, fields: spare, .. } = input;
    let (known, escaped) = escape(bytes)?;
    let mut fields = [MaybeUninit::uninit(); MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(&bytes[..known], &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Reason::HeadersTooLarge),
        Err(_) => return Err(Reason::MalformedRequest),
    };
    // Escapes are ours.
    if length - escaped > most {
        return Err(Reason::HeadersTooLarge);
    }
    let target = parsed.path.unwrap_or_default();
    if target.len() > MOST_TARGET_BYTES {
        return Err(Reason::TargetTooLong);
    }
    let begin = (target.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
    let line = Line {
        method: Method::from_bytes(parsed.method.unwrap_or_default().as_bytes())
            .map_err(|_| Reason::MalformedRequest)?,
        target: begin..begin.saturating_add(target.len()),
        version: if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 },
    };
    places.clear();
    places.extend(parsed.headers.iter().map(|field| FieldPlace::of(field, bytes)));
    let head = bytes.split_to(length).freeze();
    match assemble(&head, line, places, spare) {
        Ok(whole) => Ok(Some(RequestHead { bytes: length - escaped, ..whole })),
        Err(reason) => {
            *bytes = BytesMut::from(&head[..]);
            Err(reason)
        }
    }
}

/// The first line of a head.
struct Line {
    method: Method,
    /// Where in the head its target is.
    target: Range<usize>,
    version: Version,
}

fn assemble(
    head: &Bytes,
    line: Line,
    places: &[FieldPlace],
    spare: &mut FieldMap,
) -> Result<RequestHead, Reason> {
    let Line { method, target, version } = line;
    let malformed = Reason::MalformedRequest;
    let target = head.get(target).ok_or(malformed)?;
    let uri = Uri::from_maybe_shared(head.slice_ref(target)).map_err(|_| malformed)?;
    let mut headers = std::mem::take(spare);
    headers.clear();
    fill(&mut headers, head, places).ok_or(malformed)?;
    let noted = Noted::of(&headers, version)?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    Ok(RequestHead {
        request,
        length: noted.length,
        keeps_alive: noted.keeps_alive,
        expects_continue: noted.expects_continue && version == Version::HTTP_11,
        bytes: head.len(),
    })
}

/// Escapes the target, if it has to be. Returns how many of the bytes can be parsed, and by how many the head has become
/// longer.
fn escape(bytes: &mut BytesMut) -> Result<(usize, usize), Reason> {
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let rest = &bytes[begin..];
    let Some(end) = memchr(b'\n', rest) else {
        // What is to be escaped waits for the end of its line.
        return Ok((begin + plain_length(rest), 0));
    };
    match raw_target(&rest[..end]) {
        RawTarget::Plain => Ok((bytes.len(), 0)),
        RawTarget::Fragment => Err(Reason::BadTarget),
        RawTarget::Escaped(line) => {
            let mut whole = BytesMut::with_capacity(bytes.len() + line.len() - end);
            whole.extend_from_slice(&line);
            whole.extend_from_slice(&rest[end..]);
            *bytes = whole;
            Ok((bytes.len(), line.len() - end))
        }
    }
}

/// What the fields say of the connection and the body.
struct Noted {
    length: Option<u64>,
    keeps_alive: bool,
    expects_continue: bool,
}

impl Noted {
    fn of(headers: &FieldMap, version: Version) -> Result<Self, Reason> {
        let malformed = Reason::MalformedRequest;
        let mut keeps_alive = version == Version::HTTP_11;
        let (mut closes, mut expects_continue) = (false, false);
        let (mut length, mut coding) = (None, None);
        for (name, value) in headers.iter() {
            match *name {
                header::CONNECTION => {
                    closes |= has_option(value, b"close");
                    keeps_alive |= has_option(value, b"keep-alive");
                }
                header::CONTENT_LENGTH => {
                    let given = content_length(value.as_bytes()).ok_or(malformed)?;
                    if length.replace(given).is_some_and(|before| before != given) {
                        return Err(malformed);
                    }
                }
                header::TRANSFER_ENCODING => coding = Some(value),
                header::EXPECT => expects_continue = has_option(value, b"100-continue"),
                _ => {}
            }
        }
        let Some(coding) = coding else {
            let length = Some(length.unwrap_or(0));
            return Ok(Self { length, keeps_alive: keeps_alive && !closes, expects_continue });
        };
        // Of a request nobody could tell the end (RFC 9112 section 6.3), and version 1.0 does not know it.
        if !is_chunked(coding) || version == Version::HTTP_10 {
            return Err(malformed);
        }
        // Somebody before us may have found another end: nothing is read behind it (section 6.1).
        closes |= length.is_some();
        Ok(Self { length: None, keeps_alive: keeps_alive && !closes, expects_continue })
    }
}
