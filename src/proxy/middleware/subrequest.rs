//! A request of a step's own: to an auth server, or for an error page.
//!
//! It goes to a backend of the table, over the worker's connections, as requests of clients do. Its answer is
//! read whole, within a bound of bytes and one of time. Redirects are not followed.

use super::Services;
use super::held_body::{HeldBody, HoldFailure};
use crate::balance::Strategy;
use crate::error::Reason;
use crate::model::{BackendKey, HostSent};
use crate::net::fields::FieldMap;
use crate::net::message::Request;
use crate::proxy::clean_reply;
use crate::upstream::body::RequestBody;
use crate::upstream::{Destination, UpstreamState};
use bytes::Bytes;
use http::{Method, StatusCode};
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
        // It names the host of its own.
        host: HostSent::Visitors,
    };
    let mut request = Some(request);
    let mut state = UpstreamState::new(Instant::now());
    let sending = worker.upstream.send(destination, &mut request, &mut state, worker.draw());
    let mut response = sending.await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Reason::UpstreamUpgraded);
    }
    clean_reply(&mut response, is_head)?;
    let (head, body) = response.into_parts();
    let body = HeldBody::new(account).read(body, most).await.map_err(|failure| match failure {
        HoldFailure::Broken => Reason::UpstreamTruncated,
        HoldFailure::TooLarge => Reason::UpstreamMalformed,
        HoldFailure::NoRoom => Reason::MemoryExhausted,
    })?;
    if sent.is_none_or(|body| body.is_sent())
        && let Some(lease) = state.lease.take()
    {
        lease.release();
    }
    Ok(Reply { status: head.status, headers: head.headers, body })
}
