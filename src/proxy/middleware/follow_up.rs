//! What is still to be done with a request when its answer has come: another Service to ask in place of the one
//! that failed, and copies for mirrors.

use crate::model::middleware::Failover;
use crate::net::fields::{FieldMap, Fields};
use crate::net::memory::{Account, HolderKind};
use crate::net::message::Request;
use crate::routing::Backend;
use crate::upstream::body::{RequestBody, Upload, Whole, WholeReader};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use std::rc::Rc;
use std::sync::Arc;

/// The most bytes of a body that are kept to be sent again, or to a mirror, where no less is asked for: they are
/// held until the answer comes.
pub const MOST_KEPT_BODY: u64 = 16 * 1024 * 1024;

/// What is still to be done with a request.
#[derive(Debug)]
pub struct FollowUp {
    /// The request as its Service gets it, without a host of the endpoint's own.
    pub request: KeptRequest,
    /// The choices that have another Service, the innermost last.
    pub failovers: Vec<Arc<Failover>>,
    /// The mirrors that get a copy.
    pub copies: Vec<CopyTo>,
}

/// A mirror that gets a copy of a request.
#[derive(Clone, Debug)]
pub struct CopyTo {
    /// Where it goes.
    pub backend: Arc<Backend>,
    /// The most bytes of its body. `None`: the copy has none.
    pub most_body: Option<u64>,
}

impl FollowUp {
    /// The innermost choice that has another Service for an answer with this status, and forgets those within it.
    pub fn failover(&mut self, status: StatusCode) -> Option<Arc<Failover>> {
        let is_due = |one: &Failover| {
            let errors = one.errors.as_ref();
            errors.is_some_and(|errors| errors.statuses.iter().any(|range| range.contains(status)))
        };
        let at = self.failovers.iter().rposition(|one| is_due(one))?;
        let found = Arc::clone(&self.failovers[at]);
        self.failovers.truncate(at);
        Some(found)
    }
}

/// A request that is kept: its head, and where its body is.
#[derive(Debug)]
pub struct KeptRequest {
    method: Method,
    uri: Uri,
    headers: FieldMap,
    body: KeptBody,
    /// Whose memory the head is, and how much of it.
    account: Arc<Account>,
    held: usize,
}

#[derive(Debug)]
enum KeptBody {
    None,
    Upload(Rc<Upload>),
    Whole(Rc<Whole>),
}

impl KeptRequest {
    /// Keeps a request that has not been sent, at the cost of its connection. Of a body that comes from the client as
    /// much is kept as `most_body` says, in bytes.
    pub fn of(request: &Request<RequestBody>, most_body: u64, account: &Arc<Account>) -> Self {
        let body = match request.body() {
            RequestBody::Empty => KeptBody::None,
            RequestBody::Whole(reader) => KeptBody::Whole(Rc::clone(reader.whole())),
            RequestBody::Streaming(reader) => {
                let upload = Rc::clone(reader.upload());
                upload.keep(usize::try_from(most_body.min(MOST_KEPT_BODY)).unwrap_or(usize::MAX));
                KeptBody::Upload(upload)
            }
        };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let (headers, account) = (request.headers().clone(), Arc::clone(account));
        let mut kept = Self { method, uri, headers, body, account, held: 0 };
        kept.held = kept.head_bytes();
        kept.account.charge(HolderKind::Replays, kept.held);
        kept
    }

    /// Its fields.
    pub fn headers(&self) -> &FieldMap {
        &self.headers
    }

    /// The request again, for another Service. `None` if the beginning of its body is not there any more.
    pub fn again(&self) -> Option<Request<RequestBody>> {
        let body = match &self.body {
            KeptBody::None => RequestBody::Empty,
            KeptBody::Whole(whole) => RequestBody::Whole(WholeReader::new(Rc::clone(whole))),
            KeptBody::Upload(upload) => RequestBody::Streaming(upload.read()?),
        };
        Some(self.with_body(body))
    }

    /// The whole body, where all of it has been read and no more than `most` bytes; empty without one.
    pub fn whole_body(&self, most: u64) -> Option<Bytes> {
        let bytes = match &self.body {
            KeptBody::None => Bytes::new(),
            KeptBody::Whole(whole) => whole.bytes().clone(),
            KeptBody::Upload(upload) => upload.whole()?,
        };
        (bytes.len() as u64 <= most).then_some(bytes)
    }

    /// The same head with a body that is here.
    pub fn copy(&self, body: &Rc<Whole>) -> Request<RequestBody> {
        let mut request = self.with_body(RequestBody::Empty);
        let headers = request.headers_mut();
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        let length = body.bytes().len();
        if length > 0 {
            *request.body_mut() = RequestBody::Whole(WholeReader::new(Rc::clone(body)));
            request.headers_mut().set(header::CONTENT_LENGTH, HeaderValue::from(length));
        } else if matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            // RFC 9110 section 8.6: a method that defines content says so even if there is none.
            headers.set(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request
    }

    /// The memory that a copy of the head takes, in bytes.
    pub fn head_bytes(&self) -> usize {
        let fields = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        let target = self.uri.path_and_query().map_or(0, |target| target.as_str().len());
        target
            + fields.sum::<usize>()
            + self.headers.capacity() * size_of::<(HeaderName, HeaderValue)>()
    }

    fn with_body(&self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl Drop for KeptRequest {
    fn drop(&mut self) {
        self.account.release(HolderKind::Replays, self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::{FailoverErrors, ServiceChoice, StatusRange};
    use crate::model::{BackendKey, PortKey};
    use crate::net::memory::{Budget, Ledger};

    fn account() -> Arc<Account> {
        Account::open(&Ledger::new(Budget::new(1 << 30), Arc::default()))
    }

    fn to(service: &str) -> ServiceChoice {
        ServiceChoice::One(BackendKey {
            namespace: "ns".into(),
            service: service.into(),
            port: PortKey::Number(80),
            variant: None,
        })
    }

    fn failover(fallback: &str, range: Option<(u16, u16)>) -> Arc<Failover> {
        let range = range.map(|(first, last)| StatusRange { first, last });
        let errors = range.map(|range| FailoverErrors { statuses: vec![range], max_body: None });
        Arc::new(Failover { main: to("main"), fallback: to(fallback), errors })
    }

    #[test]
    fn the_innermost_failover_for_a_status_is_taken_once() {
        let request = KeptRequest::of(&Request::new(RequestBody::Empty), 0, &account());
        let failovers = vec![
            failover("outer", Some((500, 599))),
            failover("never", None),
            failover("inner", Some((503, 503))),
        ];
        let mut follow_up = FollowUp { request, failovers, copies: Vec::new() };
        let mut next = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            follow_up.failover(status).map(|found| found.fallback.clone())
        };
        assert_eq!(next(404), None);
        assert_eq!(next(503), Some(to("inner")));
        assert_eq!(next(503), Some(to("outer")));
        assert_eq!(next(503), None);
    }

    #[test]
    fn a_copy_has_the_length_of_the_body_that_it_has() {
        let mut request = Request::new(RequestBody::Empty);
        let headers = request.headers_mut();
        headers.set(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.set("x-a", HeaderValue::from_static("1"));
        let account = account();
        let kept = KeptRequest::of(&request, 0, &account);
        assert!(account.held() > 0, "the head is held");
        let copy = kept.copy(&Whole::of_ours(Bytes::from_static(b"four")));
        assert_eq!(copy.headers().get(header::CONTENT_LENGTH).expect("a length"), "4");
        assert_eq!(copy.headers().get("x-a").expect("the field"), "1");
        assert_eq!(copy.headers().get(header::TRANSFER_ENCODING), None);
        let empty = kept.copy(&Whole::of_ours(Bytes::new()));
        assert_eq!(empty.headers().get(header::CONTENT_LENGTH), None);
        assert_eq!(kept.whole_body(0).as_deref(), Some(&b""[..]));
        drop(kept);
        assert_eq!(account.held(), 0);
    }
}
