//! `ravelin.dev/error-pages`: pages that are kept here in the place of responses with some statuses.
//!
//! Which responses get one is as with `errors`: those of pods and our own, but for calls of gRPC.

use super::{RequestView, StepNote};
use crate::model::middleware::KeptPages;
use crate::net::fields::Fields;
use crate::net::message::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, UPGRADE};

/// Notes that the response may get a page. A WebSocket that is refused shows none.
pub(super) fn on_request(request: &mut RequestView<'_>) {
    if !request.request.headers().contains(&UPGRADE) {
        request.note(StepNote::Paged);
    }
}

/// Puts the page for its status into a response of our own. Says whether there was one. The fields stay: it must not
/// be cached, and a client may need those that belong to the status.
pub fn put(pages: &KeptPages, response: &mut Response<Bytes>) -> bool {
    let Some(page) = pages.find(response.status()) else { return false };
    let headers = response.headers_mut();
    headers.remove(&CONTENT_LENGTH);
    headers.set(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    *response.body_mut() = page.body.clone();
    true
}
