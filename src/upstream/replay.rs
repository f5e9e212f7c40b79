//! A request kept for sending it once more.
//!
//! h2 and hyper consume the head that they write, and a connection from the pool may turn out closed only
//! then. So nearly every request has to be kept, and nearly none is needed: the fields are copied
//! as text into a buffer that is used again, which takes a quarter of the time of cloning the map.
//! A head that is too large for that is cloned after all, which shares its values: a copy would double what
//! it holds. The body is kept by its upload, as far as it is short enough.

use crate::net::fields::FieldMap;
use crate::net::fields::Fields;
use crate::net::message::Request;
use crate::upstream::body::{BodyAgain, RequestBody};
use http::{HeaderName, HeaderValue, Method, Uri};
use std::cell::RefCell;

/// Buffers kept for the next requests. More are in use only while more requests are in flight.
const SPARE: usize = 256;

/// Largest text, in bytes.
const LARGEST: usize = 16 * 1024;

/// Room of a buffer for a start, in bytes: the head of a usual request has less.
const USUAL: usize = 1024;

/// Buffers of one worker.
#[derive(Debug, Default)]
pub(super) struct Replays(RefCell<Vec<Text>>);

/// Target and nothing, then name and value of each field: each pair behind its two lengths.
#[derive(Debug, Default)]
struct Text {
    /// Initialised to its end, so that a pair is copied into a slice: appending to a vector looks three times
    /// whether it has room.
    bytes: Vec<u8>,
    /// How much of them is text.
    used: usize,
}

/// A request and its head.
#[derive(Debug)]
pub(super) struct Replay {
    method: Method,
    head: Head,
    body: BodyAgain,
}

#[derive(Debug)]
enum Head {
    Text(Text),
    /// The head of a large request, with the values shared.
    Shared(Box<(Uri, FieldMap)>),
}

impl Replays {
    /// Keeps a request.
    pub(super) fn keep(&self, request: &Request<RequestBody>) -> Replay {
        let head = self.head(request);
        let body = BodyAgain::of(request.body());
        Replay { method: request.method().clone(), head, body }
    }

    fn head(&self, request: &Request<RequestBody>) -> Head {
        let mut text = self.0.borrow_mut().pop().unwrap_or_default();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let kept = text.push(target.as_bytes(), &[]).and_then(|()| {
            let mut fields = request.headers().iter();
            fields
                .try_for_each(|(name, value)| text.push(name.as_str().as_bytes(), value.as_bytes()))
        });
        if kept.is_none() {
            self.spare(text);
            return Head::Shared(Box::new((request.uri().clone(), request.headers().clone())));
        }
        Head::Text(text)
    }

    /// Takes the buffer of a request that is not needed any more.
    pub(super) fn forget(&self, replay: Replay) {
        if let Head::Text(text) = replay.head {
            self.spare(text);
        }
    }

    fn spare(&self, mut text: Text) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < SPARE {
            text.used = 0;
            spare.push(text);
        }
    }
}

impl Replay {
    /// Its method.
    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// Its body.
    pub(super) fn body(&self) -> &BodyAgain {
        &self.body
    }

    /// The request again; `None` if the beginning of its body is not there any more.
    pub(super) fn request(&self) -> Option<Request<RequestBody>> {
        Some(self.with_body(self.body.read()?))
    }

    /// The request again, with this body.
    pub(super) fn with_body(&self, body: RequestBody) -> Request<RequestBody> {
        let (target, headers) = self.head.read();
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        request
    }
}

impl Head {
    fn read(&self) -> (Uri, FieldMap) {
        let mut rest = match self {
            Self::Shared(head) => return (**head).clone(),
            Self::Text(text) => text.as_slice(),
        };
        let mut headers = FieldMap::new();
        let target = pop(&mut rest).and_then(|(target, _)| Uri::try_from(target).ok());
        while let Some((name, value)) = pop(&mut rest) {
            // All were valid when they were kept.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                headers.append(name, value);
            }
        }
        (target.unwrap_or_default(), headers)
    }
}

impl Text {
    /// Appends a pair behind its lengths; `None` if there is no room for it within [`LARGEST`].
    fn push(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let end = self.used + size_of::<u64>() + name.len() + value.len();
        if end > self.bytes.len() {
            self.grow(end)?;
        }
        let room = self.bytes.get_mut(self.used..end)?;
        let (lengths, room) = room.split_first_chunk_mut()?;
        // Both are below LARGEST.
        *lengths = (((name.len() as u64) << 32) | value.len() as u64).to_le_bytes();
        let (first, second) = room.split_at_mut_checked(name.len())?;
        first.copy_from_slice(name);
        second.copy_from_slice(value);
        self.used = end;
        Some(())
    }

    #[cold]
    fn grow(&mut self, end: usize) -> Option<()> {
        let room = end.next_power_of_two().max(USUAL);
        (room <= LARGEST).then(|| self.bytes.resize(room, 0))
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

fn pop<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (lengths, tail) = rest.split_first_chunk()?;
    let lengths = u64::from_le_bytes(*lengths);
    let (name, tail) = tail.split_at_checked(usize::try_from(lengths >> 32).ok()?)?;
    let (value, tail) =
        tail.split_at_checked(usize::try_from(lengths & u64::from(u32::MAX)).ok()?)?;
    *rest = tail;
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_request_comes_back_whole_and_its_buffer_is_used_again() {
        let replays = Replays::default();
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = Uri::from_static("/a?b");
        for (name, value) in [("host", "a"), ("x-two", "1"), ("x-two", "\u{e9}"), ("x-empty", "")] {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        let replay = replays.keep(&request);
        let again = replay.request().expect("no body is missing");
        assert_eq!(again.method(), request.method());
        assert_eq!(again.uri(), request.uri());
        assert_eq!(again.headers(), request.headers());
        replays.forget(replay);
        assert_eq!(replays.0.borrow().len(), 1);
        let long = HeaderValue::from_bytes(&[b'v'; 3 * USUAL]).expect("a value");
        request.headers_mut().append("x-long", long);
        let replay = replays.keep(&request);
        assert!(matches!(replay.head, Head::Text(_)), "the buffer grows");
        let again = replay.request().expect("no body is missing");
        assert_eq!(again.headers(), request.headers());
        assert_eq!(replays.0.borrow().len(), 0);
    }

    #[test]
    fn of_a_large_head_the_values_are_shared_and_not_copied() {
        let replays = Replays::default();
        let mut request = Request::new(RequestBody::Empty);
        let long = HeaderValue::from_bytes(&[b'v'; 4000]).expect("a value");
        for _ in 0..LARGEST / 4000 + 1 {
            request.headers_mut().append("x-long", long.clone());
        }
        let replay = replays.keep(&request);
        let again = replay.request().expect("no body is missing");
        assert_eq!(again.headers(), request.headers());
        for value in again.headers().values() {
            assert_eq!(value.as_bytes().as_ptr(), long.as_bytes().as_ptr());
        }
    }
}
