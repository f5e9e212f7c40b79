//! `forwardBody`: the body of a request, read before its pod gets it, because the auth server has to see it.

use super::super::{RequestView, StepAnswer};
use crate::error::Reason;
use crate::model::middleware::ForwardBody;
use crate::net::memory::{Account, HolderKind};
use crate::upstream::body::{RequestBody, Whole, WholeReader};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
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
            let mut charge = Charge { account, bytes: 0 };
            let bytes = read(body, max, &mut charge).await?;
            Whole::of_upload(bytes, &upload)
        }
    };
    let length = HeaderValue::from(whole.bytes().len());
    let headers = request.headers();
    headers.remove(header::TRANSFER_ENCODING);
    headers.insert(header::CONTENT_LENGTH, length);
    *request.request.body_mut() = RequestBody::Whole(WholeReader::new(Rc::clone(&whole)));
    Ok(Some(whole))
}

async fn read(
    mut body: RequestBody,
    max: u64,
    charge: &mut Charge<'_>,
) -> Result<Bytes, Box<StepAnswer>> {
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| StepAnswer::of(Reason::MalformedBody))?;
        let Ok(piece) = frame.into_data() else { continue };
        if (whole.len() + piece.len()) as u64 > max {
            return Err(too_large());
        }
        charge.add(piece.len())?;
        whole.extend_from_slice(piece.chunk());
    }
    Ok(whole.freeze())
}

/// As Traefik answers.
fn too_large() -> Box<StepAnswer> {
    let answer = StepAnswer::of(Reason::BodyTooLarge).with_status(StatusCode::UNAUTHORIZED);
    Box::new(answer.with_body(""))
}

/// The charge of what has been read, until it is whole.
struct Charge<'a> {
    account: &'a Arc<Account>,
    bytes: usize,
}

impl Charge<'_> {
    fn add(&mut self, bytes: usize) -> Result<(), Box<StepAnswer>> {
        self.account
            .may_hold(bytes)
            .map_err(|_| Box::new(StepAnswer::of(Reason::MemoryExhausted)))?;
        self.account.charge(HolderKind::Bodies, bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.account.release(HolderKind::Bodies, self.bytes);
    }
}
