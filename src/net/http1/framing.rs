//! What fields say of the connection and of a body (RFC 9112 sections 6 and 9).

use http::HeaderValue;

/// A `Content-Length`: digits and nothing else (RFC 9110 section 8.6).
pub fn content_length(text: &[u8]) -> Option<u64> {
    let (first, rest) = text.split_first()?;
    rest.iter()
        .try_fold(digit(*first)?, |length, byte| length.checked_mul(10)?.checked_add(digit(*byte)?))
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

/// The one length of several, or of lists, that all say the same (RFC 9110 section 8.6).
pub fn agreed_length<'v>(values: impl Iterator<Item = &'v HeaderValue>) -> Option<u64> {
    let all = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let mut all = all.map(|text| content_length(text.trim_ascii()));
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

/// Whether `chunked` is the last of the codings of a `Transfer-Encoding`.
pub fn is_chunked(codings: &HeaderValue) -> bool {
    let last = codings.as_bytes().rsplit(|&byte| byte == b',').next();
    last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Whether a list has this option, in whatever case.
pub fn has_option(list: &HeaderValue, option: &[u8]) -> bool {
    let mut options = list.as_bytes().split(|&byte| byte == b',');
    options.any(|other| other.trim_ascii().eq_ignore_ascii_case(option))
}
