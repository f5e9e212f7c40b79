//! A request of a step's own: to an auth server, or for an error page.
//!
//! It goes to a backend of the table, over the worker's connections, as requests of clients do. Its answer is
//! read whole, within a bound of bytes and one of time. Redirects are not followed.

use super::Services;
use crate::balance::Strategy;
use crate::error::Reason;
use crate::http::clean_response;
use crate::model::BackendKey;
use crate::net::fields::{FieldMap, trim_values};
use crate::net::memory::{Account, HolderKind};
use crate::upstream::body::RequestBody;
use crate::upstream::{Destination, MOST_ANSWER_FIELDS, ReplyBody, UpstreamState};
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a subrequest may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From its beginning to the last byte of its answer.
    pub(super) time: Duration,
    /// The body of its answer, in bytes.
    pub(super) body: u64,
}

/// The answer to a subrequest: fields that are for a client, and the whole body.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: FieldMap,
    pub(super) body: Bytes,
}

/// Sends a request to a backend, and reads the answer.
///
/// # Errors
/// Why there is none: as of a request of a client's.
pub(super) async fn ask(
    backend: &BackendKey,
    request: Request<RequestBody>,
    services: Services<'_>,
    bounds: Bounds,
) -> Result<Reply, Reason> {
    let asking = exchange(backend, request, services, bounds.body);
    tokio::time::timeout(bounds.time, asking).await.unwrap_or(Err(Reason::UpstreamTimeout))
}

async fn exchange(
    backend: &BackendKey,
    request: Request<RequestBody>,
    Services { worker, table, account }: Services<'_>,
    most: u64,
) -> Result<Reply, Reason> {
    let backend = table.backend_of(backend).ok_or(Reason::ServiceMissing)?;
    if backend.broken.is_some() {
        return Err(Reason::MiddlewareUnusable);
    }
    let endpoints = arc_swap::Guard::into_inner(backend.endpoints());
    if endpoints.usable().is_empty() {
        return Err(Reason::NoEndpoint);
    }
    let is_head = *request.method() == Method::HEAD;
    let sent = match request.body() {
        RequestBody::Whole(reader) => Some(std::rc::Rc::clone(reader.whole())),
        RequestBody::Empty | RequestBody::Streaming(_) => None,
    };
    let destination = Destination {
        backend,
        endpoints: &endpoints,
        choice: Strategy::default(),
        protocol: &backend.protocol,
        connect: None,
        retry: None,
    };
    let mut request = Some(request);
    let mut state = UpstreamState::new(Instant::now());
    let sending = worker.upstream.send(destination, &mut request, &mut state, worker.draw());
    let response = sending.await?;
    let (status, headers, body) = readied(response, is_head)?;
    let body = read(body, most, account).await?;
    if sent.is_none_or(|body| body.is_sent())
        && let Some(lease) = state.lease.take()
    {
        lease.release();
    }
    Ok(Reply { status, headers, body })
}

/// What one protocol tolerates is made valid for the other, and what was for the connection alone is removed.
fn readied(
    response: Response<ReplyBody>,
    is_head: bool,
) -> Result<(StatusCode, FieldMap, ReplyBody), Reason> {
    let (mut head, body) = response.into_parts();
    if head.version == Version::HTTP_2 {
        if head.headers.len() > MOST_ANSWER_FIELDS {
            return Err(Reason::UpstreamMalformed);
        }
        trim_values(&mut head.headers);
    }
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Reason::UpstreamUpgraded);
    }
    clean_response(&mut head.headers, head.status, is_head)?;
    Ok((head.status, head.headers, body))
}

/// Reads a body to its end, at the cost of the client's connection.
async fn read(mut body: ReplyBody, most: u64, account: &Arc<Account>) -> Result<Bytes, Reason> {
    let mut held = Held { account, bytes: 0 };
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Reason::UpstreamTruncated)?;
        // Trailers are not passed on.
        let Ok(piece) = frame.into_data() else { continue };
        if (whole.len() + piece.len()) as u64 > most {
            return Err(Reason::UpstreamMalformed);
        }
        held.take(piece.len())?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The charge of a body that is being read. The connection that the body is sent on charges it afresh.
struct Held<'a> {
    account: &'a Arc<Account>,
    bytes: usize,
}

impl Held<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        self.account.may_hold(bytes).map_err(|_| Reason::MemoryExhausted)?;
        self.account.charge(HolderKind::Bodies, bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.account.release(HolderKind::Bodies, self.bytes);
    }
}
