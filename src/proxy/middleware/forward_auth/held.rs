//! `forwardBody`: the body of a request, read before its pod gets it, because the auth server has to see it.

use super::super::held_body::{HeldBody, HoldFailure};
use super::super::{RequestView, StepAnswer};
use crate::error::Reason;
use crate::model::middleware::ForwardBody;
use crate::net::fields::Fields;
use crate::net::memory::Account;
use crate::upstream::body::{RequestBody, Whole, WholeReader};
use http::{HeaderValue, StatusCode, header};
use std::rc::Rc;
use std::sync::Arc;

/// Reads the body of a request and gives it back to it, whole. Trailers are dropped, as they may be (RFC 9110
/// section 6.5.1).
pub(in crate::proxy::middleware) async fn hold(
    request: &mut RequestView<'_>,
    ForwardBody { max }: ForwardBody,
    account: &Arc<Account>,
) -> Result<Option<Rc<Whole>>, Box<StepAnswer>> {
    let body = std::mem::replace(request.request.body_mut(), RequestBody::Empty);
    let whole = match &body {
        RequestBody::Empty => return Ok(None),
        // Another step has read it.
        RequestBody::Whole(reader) if reader.whole().bytes().len() as u64 > max => {
            return Err(too_large());
        }
        RequestBody::Whole(reader) => Rc::clone(reader.whole()),
        RequestBody::Streaming(reader) => {
            let upload = Rc::clone(reader.upload());
            if upload.rest().is_some_and(|rest| rest > max) {
                return Err(too_large());
            }
            let mut held = HeldBody::new(account);
            let bytes = held.read(body, max).await.map_err(|failure| match failure {
                HoldFailure::Broken => StepAnswer::of(Reason::MalformedBody).into(),
                HoldFailure::TooLarge => too_large(),
                HoldFailure::NoRoom => StepAnswer::of(Reason::MemoryExhausted).into(),
            })?;
            Whole::of_upload(bytes, &upload)
        }
    };
    let length = HeaderValue::from(whole.bytes().len());
    let headers = request.headers();
    headers.remove(header::TRANSFER_ENCODING);
    headers.set(header::CONTENT_LENGTH, length);
    *request.request.body_mut() = RequestBody::Whole(WholeReader::new(Rc::clone(&whole)));
    Ok(Some(whole))
}

/// As Traefik answers.
fn too_large() -> Box<StepAnswer> {
    let answer = StepAnswer::of(Reason::BodyTooLarge).with_status(StatusCode::UNAUTHORIZED);
    Box::new(answer.with_body(""))
}
