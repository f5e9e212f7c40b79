//! The body of a 206 whose length its pod has not told: by `Content-Range` it is known.
//!
//! Cloudflare joins the parts of an object that it has fetched, and takes only parts that have a `Content-Length` and no
//! `Transfer-Encoding` (Cloudflare, "Origin Range Requests").

use super::response_body::Truncated;
use crate::net::fields::Fields;
use crate::net::message::ResponseParts;
use crate::upstream::ReplyBody;
use crate::upstream::body::clean_trailers;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body of so many bytes. Its last piece is kept until the pod has ended it, so that a longer one breaks off.
#[derive(Debug)]
pub(super) struct PartBody {
    source: ReplyBody,
    left: u64,
    last: Option<Bytes>,
    is_ended: bool,
}

impl PartBody {
    pub(super) fn new(source: ReplyBody, length: u64) -> Self {
        Self { source, left: length, last: None, is_ended: false }
    }

    /// Whether nothing is left to send.
    pub(super) fn is_through(&self) -> bool {
        self.is_ended
    }

    /// Bytes that are still to be sent.
    pub(super) fn left(&self) -> u64 {
        self.left + self.last.as_ref().map_or(0, |last| last.len() as u64)
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        while !self.is_ended {
            let frame = ready!(Pin::new(&mut self.source).poll_frame(cx));
            let Some(frame) = frame else {
                self.is_ended = true;
                let last = self.last.take().filter(|_| self.left == 0);
                return Poll::Ready(Some(last.map(Frame::data).ok_or(Truncated)));
            };
            // Without chunks there is no place for trailers.
            let Some(frame) =
                frame.map_or(Some(Err(Truncated)), |frame| clean_trailers(frame).map(Ok))
            else {
                continue;
            };
            let Ok(data) = frame?.into_data() else { continue };
            let bytes = data.len() as u64;
            if bytes > self.left {
                return Poll::Ready(Some(Err(Truncated)));
            }
            self.left -= bytes;
            if self.left > 0 {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if bytes > 0 {
                self.last = Some(data);
            }
        }
        Poll::Ready(None)
    }
}

/// The length of a part by its `Content-Range` (RFC 9110 section 14.4), which becomes its `Content-Length`, if it has
/// none. Several parts in one response have no such field.
pub(super) fn tell_length(head: &mut ResponseParts) -> Option<u64> {
    if head.status != StatusCode::PARTIAL_CONTENT || head.headers.contains(header::CONTENT_LENGTH) {
        return None;
    }
    if head.headers.get_all(header::CONTENT_RANGE).count() != 1 {
        return None;
    }
    let length = range_length(head.headers.get(header::CONTENT_RANGE)?)?;
    head.headers.set(header::CONTENT_LENGTH, HeaderValue::from(length));
    Some(length)
}

fn range_length(value: &HeaderValue) -> Option<u64> {
    let range = value.to_str().ok()?.trim().strip_prefix("bytes ")?;
    let (range, _) = range.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| is_number)
    };
    number(last)?.checked_sub(number(first)?)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_part_is_that_of_its_range() {
        for (value, expected) in [
            ("bytes 0-0/1", Some(1)),
            ("bytes 10-14/*", Some(5)),
            ("bytes 1048576-2097151/5000000", Some(1_048_576)),
            ("bytes */100", None),
            ("bytes 5-4/100", None),
            ("bytes +1-4/100", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes 1-2", None),
            ("lines 1-2/3", None),
            ("", None),
        ] {
            assert_eq!(range_length(&HeaderValue::from_static(value)), expected, "{value}");
        }
    }
}
