//! `compress`: responses of pods as br or gzip, for clients that accept it.
//!
//! What must not be changed is passed on as it is: parts (206), answers to a `Range` whatever their status, as the next
//! one may be a part of them, what is compressed already, `Cache-Control: no-transform` of either side, event streams,
//! gRPC, and whatever carries a digest of its bytes. A strong ETag becomes a weak one: the bytes are others, the content
//! is the same, and `If-None-Match` compares weakly (RFC 9110 section 13.1.2), so that clients and caches can still
//! revalidate. It is the pod that compares: a proxy that keeps nothing must not (section 13.2.1).

mod accepted;
mod codec;
mod encoder;
mod threads;

pub use codec::Then;
pub use encoder::{BodyEncoder, SLICE, Waiting};

use super::passage::StepNote;
use super::view::{RequestView, ResponseView};
use crate::model::middleware::Compress;
use crate::net::fields::Fields;
use accepted::{Choices, ContentCoding, chosen, lists};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

/// Types that are compressed already: doing it again costs time and gains nothing. `image/svg+xml` is text.
const COMPRESSED: [&str; 12] = [
    "application/gzip",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-xz",
    "application/zip",
    "application/zstd",
    "font/woff",
    "font/woff2",
    "application/font-woff2",
];

/// The same, by what they begin with.
const COMPRESSED_KINDS: [&str; 8] = [
    "audio/",
    "image/avif",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/",
];

/// Fields that tell of the very bytes of a body (RFC 9530, RFC 3230, RFC 1864).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// What a response half has to know of its request.
#[derive(Debug)]
pub struct AcceptedCodings {
    choices: Choices,
    /// `If-None-Match`, which tells which ETag the client has.
    known: Option<HeaderValue>,
}

/// Notes what the client accepts.
pub(super) fn on_request(rules: &Compress, request: &mut RequestView<'_>) {
    let fields = request.request.headers();
    let is_fixed = lists(fields.get_all(header::CACHE_CONTROL), "no-transform");
    if is_fixed || fields.contains(header::RANGE) || fields.contains(header::UPGRADE) {
        return;
    }
    let choices = chosen(fields, &rules.encodings, rules.default);
    if choices.is_empty() {
        return;
    }
    let known = fields.get(header::IF_NONE_MATCH).cloned();
    request.note(StepNote::Accepted(Box::new(AcceptedCodings { choices, known })));
}

/// Makes the head that of the compressed response, and keeps the compressor for its body.
pub(super) fn on_response(rules: &Compress, response: &mut ResponseView<'_>) {
    let note = response.note.take();
    if response.is_ours {
        return;
    }
    vary(response.headers);
    let Some(StepNote::Accepted(accepted)) = note else { return };
    if *response.status == StatusCode::NOT_MODIFIED {
        revalidated(response.headers, accepted.known.as_ref());
        return;
    }
    if !may_be_compressed(rules, *response.status, response.headers) {
        return;
    }
    let cells = response.states.cells();
    // The fields of a response to HEAD are those of one to GET (RFC 9110 section 9.3.2): a cache compares them.
    if *response.method == Method::HEAD {
        if let Some(coding) = accepted.choices.iter().next() {
            encoded(response.headers, coding);
        }
        return;
    }
    let begin = |coding| {
        BodyEncoder::begin(coding, response.account, cells).map(|encoder| (coding, encoder))
    };
    let Some((coding, encoder)) = accepted.choices.iter().find_map(begin) else {
        cells.uncompressed.add(1);
        return;
    };
    encoded(response.headers, coding);
    response.note = Some(StepNote::Compress(encoder));
}

/// Makes the fields those of the compressed response.
fn encoded(headers: &mut impl Fields, coding: ContentCoding) {
    headers.set(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(header::CONTENT_LENGTH);
    // Of what bytes it would be a part is not known again.
    headers.remove(header::ACCEPT_RANGES);
    if let Some(weak) = headers.get(header::ETAG).and_then(weakened) {
        headers.set(header::ETAG, weak);
    }
}

/// Says that the response is another for clients that accept others.
fn vary(headers: &mut impl Fields) {
    let is_named = |name| lists(headers.get_all(header::VARY), name);
    if !is_named("accept-encoding") && !is_named("*") {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Gives a client that has the compressed response the ETag of that.
fn revalidated(headers: &mut impl Fields, known: Option<&HeaderValue>) {
    let weak = headers.get(header::ETAG).and_then(weakened);
    if let (Some(weak), Some(known)) = (weak, known)
        && lists(std::iter::once(known), &String::from_utf8_lossy(weak.as_bytes()))
    {
        headers.set(header::ETAG, weak);
    }
}

/// The weak ETag in the place of a strong one (RFC 9110 section 8.8.3).
fn weakened(tag: &HeaderValue) -> Option<HeaderValue> {
    if !tag.as_bytes().starts_with(b"\"") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()
}

fn may_be_compressed(rules: &Compress, status: StatusCode, headers: &impl Fields) -> bool {
    let has_part = status == StatusCode::PARTIAL_CONTENT || headers.contains(header::CONTENT_RANGE);
    let has_body = crate::http::may_have_body(status) && status != StatusCode::RESET_CONTENT;
    // `identity` is none, and some pods say so.
    let mut codings = headers.get_all(header::CONTENT_ENCODING);
    let is_plain = codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let is_fixed = lists(headers.get_all(header::CACHE_CONTROL), "no-transform")
        || DIGESTS.iter().any(|name| headers.contains(name));
    has_body
        && !has_part
        && is_plain
        && !is_fixed
        && is_long(rules, headers)
        && is_of_type(rules, headers)
}

/// Whether it is long enough; one that does not tell its length is.
fn is_long(rules: &Compress, headers: &impl Fields) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse::<u64>().ok()).is_none_or(|length| length >= rules.min_bytes)
}

fn is_of_type(rules: &Compress, headers: &impl Fields) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    let begins = |kind: &str| {
        essence.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
    };
    // Both are read while they come. gRPC has a compression of its own.
    if is("text/event-stream") || begins("application/grpc") {
        return false;
    }
    match rules.included.is_empty() {
        true => {
            let excluded = rules.excluded.iter().any(|name| is(name));
            !excluded
                && !COMPRESSED.into_iter().any(is)
                && !COMPRESSED_KINDS.into_iter().any(begins)
        }
        false => rules.included.iter().any(|name| is(name)),
    }
}

#[cfg(test)]
mod tests;
