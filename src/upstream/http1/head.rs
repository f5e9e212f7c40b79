//! The head of a request as it is written, and the head of a response as it is read (RFC 9112 sections 3 to 6).

use super::keep::Keep;
use crate::error::Reason;
use crate::net::fields::{FieldMap, Fields};
use crate::net::http1::{
    BodyDecoder, BodyFraming, Chunked, FieldPlace, Input, agreed_length, fill, is_chunked,
    write_field,
};
use crate::net::message::{Request, Response, ResponseParts};
use crate::upstream::connect::MOST_ANSWER_FIELDS;
use http::{StatusCode, Version, header};
use hyper::ext::ReasonPhrase;
use std::mem::MaybeUninit;

/// What follows the head of a response.
#[derive(Debug)]
pub(super) enum ResponseFraming {
    /// A body.
    Body(BodyDecoder),
    /// Another protocol.
    Upgrade,
}

/// Writes a request head to the end of `text`; `length` is that of the body, if it is known.
///
/// A `Transfer-Encoding` that the request has is ours, and says that its length is not known; where there is no body it
/// is left out.
pub(super) fn write<B>(
    request: &Request<B>,
    length: Option<u64>,
    text: &mut Vec<u8>,
) -> BodyFraming {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    text.extend_from_slice(request.method().as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let mut is_chunked = length.is_none();
    let mut has_length = false;
    for (name, value) in request.headers().iter() {
        match *name {
            header::TRANSFER_ENCODING => {
                is_chunked = length != Some(0);
                continue;
            }
            // Of several lengths, or a false one, two readers may take different ones.
            header::CONTENT_LENGTH => {
                has_length = true;
                continue;
            }
            _ => write_field(text, name.as_str().as_bytes(), value.as_bytes()),
        }
    }
    let framing = match length {
        Some(length) if !is_chunked => {
            if has_length || length > 0 {
                write_field(text, b"content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            BodyFraming::Length(length)
        }
        _ => {
            write_field(text, b"transfer-encoding", b"chunked");
            BodyFraming::Chunked
        }
    };
    text.extend_from_slice(b"\r\n");
    framing
}

/// What the bytes begin with.
pub(super) enum Parsed {
    /// A part of a head.
    Partial,
    /// A 1xx response, which is not the last to this request.
    Interim(ResponseParts),
    /// The head of the response.
    Final(Answer),
}

/// A response, without its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Response<()>,
    pub(super) framing: ResponseFraming,
    pub(super) keep: Keep,
}

/// Reads a response head, and takes it from the input; `is_head`: it answers HEAD. The fields come into the map `spare`,
/// without what is in it.
///
/// # Errors
/// It is no head, or says of its body what cannot be obeyed.
pub(super) fn read(
    input: &mut Input,
    is_head: bool,
    spare: &mut FieldMap,
) -> Result<Parsed, Reason> {
    let Input { bytes, places, .. } = input;
    let mut fields = [MaybeUninit::uninit(); MOST_ANSWER_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let result = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        bytes,
        &mut fields,
    );
    let length = match result {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(_) => return Err(Reason::UpstreamMalformed),
    };
    let code = parsed.code.ok_or(Reason::UpstreamMalformed)?;
    let status = StatusCode::from_u16(code).map_err(|_| Reason::UpstreamMalformed)?;
    let phrase = parsed.reason.filter(|phrase| Some(*phrase) != status.canonical_reason());
    let phrase = phrase.map(|phrase| ReasonPhrase::try_from(phrase.as_bytes()));
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    places.clear();
    places.extend(parsed.headers.iter().map(|field| FieldPlace::of(field, bytes)));
    let head = bytes.split_to(length).freeze();
    let is_interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
    // The map is that of the request, which may have to be sent again until there is an answer.
    let mut headers = if is_interim { FieldMap::new() } else { std::mem::take(spare) };
    headers.clear();
    fill(&mut headers, &head, places).ok_or(Reason::UpstreamMalformed)?;
    if is_interim {
        return Ok(Parsed::Interim(ResponseParts { status, headers, ..ResponseParts::default() }));
    }
    let framing = framing(status, version, is_head, &headers)?;
    let keep = Keep::read(version, &headers);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    if let Some(phrase) = phrase {
        response.extensions_mut().insert(phrase.map_err(|_| Reason::UpstreamMalformed)?);
    }
    Ok(Parsed::Final(Answer { head: response, framing, keep }))
}

/// How the body of a response is framed (RFC 9112 section 6.3).
fn framing(
    status: StatusCode,
    version: Version,
    is_head: bool,
    headers: &FieldMap,
) -> Result<ResponseFraming, Reason> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(ResponseFraming::Upgrade);
    }
    if is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(ResponseFraming::Body(BodyDecoder::Length(0)));
    }
    let body = match headers.get_all(header::TRANSFER_ENCODING).next_back() {
        // The version does not have it: a recipient that does not know it would find another end.
        Some(_) if version == Version::HTTP_10 => return Err(Reason::UpstreamMalformed),
        Some(codings) if is_chunked(codings) => BodyDecoder::Chunked(Chunked::begin()),
        Some(_) => BodyDecoder::UntilClose,
        None if !headers.contains(header::CONTENT_LENGTH) => BodyDecoder::UntilClose,
        None => {
            let length = agreed_length(headers.get_all(header::CONTENT_LENGTH));
            BodyDecoder::Length(length.ok_or(Reason::UpstreamMalformed)?)
        }
    };
    Ok(ResponseFraming::Body(body))
}
