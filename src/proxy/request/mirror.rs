//! Copies of requests for mirrors (`mirroring` of a TraefikService).
//!
//! A copy is sent when the answer of the main Service has begun, by a task of its own on the worker: nothing waits
//! for it, and nobody sees its answer. It takes memory of the budget for as long as it lives. Where there is no room
//! for it, or too many are under way, it is dropped and counted.
//!
//! **Invariant**: whatever becomes of a copy, the visitor's request is not touched by it.

use super::decide::{protocol, usable};
use super::exchange::Exchange;
use super::session_affinity;
use crate::balance::{EndpointSet, Strategy};
use crate::error::Reason;
use crate::net::memory::{Account, HolderKind};
use crate::net::message::{Request, Response};
use crate::proxy::Worker;
use crate::proxy::middleware::{CopyTo, FollowUp};
use crate::routing::{Backend, EndpointProtocol};
use crate::telemetry::Mirrored;
use crate::upstream::body::{RequestBody, Whole};
use crate::upstream::{Destination, ReplyBody, ResponseHead, UpstreamState};
use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Copies of one worker under way at a time. A mirror that is slow holds no more sockets than that, and the bodies
/// that belong to them.
const MOST_UNDER_WAY: i64 = 128;

/// The most bytes of an answer that are read to keep its connection; behind them it is closed.
const MOST_ANSWER: usize = 1024 * 1024;

/// Memory of a copy beside head and body, in bytes: its task, and its connection with the buffers of that.
const BASE: usize = 24 * 1024;

/// Sends the copies of a request that has its answer.
pub(super) fn start(exchange: &Exchange, follow_up: &FollowUp) {
    let worker = &exchange.downstream().worker;
    for copy in &follow_up.copies {
        if let Err(result) = begin(exchange, follow_up, copy) {
            worker.cells.upstream.count_mirrored(result);
        }
    }
}

/// A copy that is ready to be sent.
struct Prepared {
    request: Option<Request<RequestBody>>,
    body: Rc<Whole>,
    backend: Arc<Backend>,
    endpoints: Arc<EndpointSet>,
    choice: Strategy,
    protocol: EndpointProtocol,
    under_way: UnderWay,
}

fn begin(exchange: &Exchange, follow_up: &FollowUp, copy: &CopyTo) -> Result<(), Mirrored> {
    let worker = &exchange.downstream().worker;
    let kept = &follow_up.request;
    let endpoints = usable(&copy.backend).map_err(|_| Mirrored::Failed)?;
    let bytes = match copy.most_body {
        None => Bytes::new(),
        Some(most) => kept.whole_body(most).ok_or(Mirrored::TooLarge)?,
    };
    // What is kept in one piece may hold another's part of the buffer that it was read into.
    let under_way = UnderWay::begin(worker, BASE + kept.head_bytes() + 2 * bytes.len())?;
    let body = Whole::of_ours(bytes);
    let mut request = kept.copy(&body);
    let algorithm = &copy.backend.balancing.algorithm;
    let choice = session_affinity::choose(algorithm, exchange, request.headers());
    let protocol = protocol(&copy.backend, exchange, request.headers_mut());
    let backend = Arc::clone(&copy.backend);
    let request = Some(request);
    let copy = Prepared { request, body, backend, endpoints, choice, protocol, under_way };
    tokio::task::spawn_local(run(copy));
    Ok(())
}

async fn run(mut copy: Prepared) {
    let worker = Rc::clone(&copy.under_way.worker);
    let limit = worker.config.timeouts.response_head;
    let sending = send(&worker, &mut copy);
    let result = match tokio::time::timeout(limit, sending).await {
        Ok(Ok(())) => Mirrored::Sent,
        Ok(Err(reason)) => {
            tracing::debug!(service = %copy.backend.key, why = reason.label(), "a mirror failed");
            Mirrored::Failed
        }
        Err(_) => Mirrored::Failed,
    };
    worker.cells.upstream.count_mirrored(result);
}

/// Sends it, and reads its answer to the end, so that the connection may serve others.
async fn send(worker: &Worker, copy: &mut Prepared) -> Result<(), Reason> {
    let Prepared { request, body, backend, endpoints, choice, protocol, .. } = copy;
    let destination = Destination {
        backend,
        endpoints,
        choice: *choice,
        protocol,
        connect: backend.timeouts.as_ref().and_then(|own| own.connect),
        retry: None,
        host: backend.host,
    };
    let started = Instant::now();
    let mut state = UpstreamState::new(started);
    let response = worker.upstream.send(destination, request, &mut state, worker.draw()).await?;
    let (status, received) = (response.status(), Instant::now());
    let took = state.took_until(received);
    let head = ResponseHead { status, received, took, is_timed: true };
    worker.upstream.answered(&state, head, || worker.random());
    if status != StatusCode::SWITCHING_PROTOCOLS
        && drain(response).await
        && body.is_sent()
        && let Some(lease) = state.lease.take()
    {
        lease.release();
    }
    Ok(())
}

/// Reads an answer and throws it away. Whether that was all of it.
async fn drain(response: Response<ReplyBody>) -> bool {
    let (mut body, mut left) = (response.into_body(), MOST_ANSWER);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, Buf::remaining);
        let Some(rest) = left.checked_sub(length) else { return false };
        left = rest;
    }
    true
}

/// A copy that counts as under way, and the memory that it holds, until it is dropped.
struct UnderWay {
    worker: Rc<Worker>,
    account: Arc<Account>,
    bytes: usize,
}

impl UnderWay {
    fn begin(worker: &Rc<Worker>, bytes: usize) -> Result<Self, Mirrored> {
        let cells = &worker.cells.upstream;
        if cells.mirrors.now() >= MOST_UNDER_WAY {
            return Err(Mirrored::Crowded);
        }
        let account = Account::open(&worker.memory);
        if !account.has_room(bytes) {
            return Err(Mirrored::NoMemory);
        }
        account.charge(HolderKind::Mirrors, bytes);
        cells.mirrors.shift(1);
        Ok(Self { worker: Rc::clone(worker), account, bytes })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.account.release(HolderKind::Mirrors, self.bytes);
        self.worker.cells.upstream.mirrors.shift(-1);
    }
}
