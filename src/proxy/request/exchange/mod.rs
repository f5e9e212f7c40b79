//! The record of one request, from its head to the last byte of its answer.

mod finish;
mod log;

use super::charge::Charge;
use super::parts::Parts;
use super::routed::Routed;
use super::trace;
use crate::balance::{Endpoint, InFlight};
use crate::config::Http1;
use crate::error::Reason;
use crate::model::Timeouts;
use crate::net::deadline::{Phase, TICK, Watch};
use crate::net::message::RequestParts;
use crate::proxy::{Downstream, middleware};
use crate::routing::{Held, RouteId};
use crate::telemetry::traces::{ClientSpans, RequestTrace};
use crate::upstream::body::{Upload, UploadLimits, UploadState};
use crate::upstream::{ResponseHead, UpstreamState};
use http::{Method, StatusCode, Version};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Most bytes of a request body that come in a moment: with more, the time to the answer is the client's.
const SHORT_UPLOAD: u64 = 64 * 1024;

/// The most bytes of a request body that are read behind its answer, so that its connection can go on: its client has
/// begun to send them before it could know of the answer.
pub const MOST_OF_REST: u64 = 1024 * 1024;

/// The same by hyper, which goes on where the rest is here already: its first buffer.
const SHORT_REST: u64 = 8 * 1024;

/// The record of a request so far. Dropping it counts and logs the request: as given up by the
/// client, unless it was marked otherwise before.
#[derive(Debug)]
pub(super) struct Exchange(Box<Record>);

#[derive(Debug)]
struct Record {
    downstream: Rc<Downstream>,
    /// The connection's deadline, or with HTTP/2 the stream's.
    watch: Rc<Watch>,
    _charge: Charge,
    method: Method,
    version: Version,
    upload: Option<Rc<Upload>>,
    route: Option<Routed>,
    /// The timeouts of its route, if the route sets any.
    timeouts: Option<Timeouts>,
    upstream: UpstreamState,
    sent: bool,
    /// When the head of its answer came, and how long the pod took for that.
    head: Option<(Instant, Duration)>,
    status: Option<StatusCode>,
    reason: Option<Reason>,
    complete: bool,
    /// Whether the response body waits for the upstream (or else for the client).
    starved: bool,
    /// How long nothing may move in the answer.
    patience: Duration,
    bytes_out: u64,
    /// Bytes of the client's that went through its tunnel.
    relayed: u64,
    parts: Parts,
}

impl std::ops::Deref for Exchange {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl std::ops::DerefMut for Exchange {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0.parts
    }
}

impl Exchange {
    /// Begins with the request head.
    pub(super) fn begin(
        downstream: Rc<Downstream>,
        watch: Rc<Watch>,
        head: &RequestParts,
        upload: Option<Rc<Upload>>,
        charge: Charge,
    ) -> Self {
        let patience = downstream.worker.config.timeouts.body_progress;
        let started = Instant::now();
        Self(Box::new(Record {
            downstream,
            watch,
            _charge: charge,
            method: head.method.clone(),
            version: head.version,
            upload,
            route: None,
            timeouts: None,
            upstream: UpstreamState::new(started),
            sent: false,
            head: None,
            status: None,
            reason: None,
            complete: false,
            starved: false,
            patience,
            bytes_out: 0,
            relayed: 0,
            parts: Parts::default(),
        }))
    }

    /// Notes that it is traced.
    #[cold]
    pub(super) fn traced(&mut self, trace: Box<RequestTrace>) {
        if let Some(tracer) = &self.0.downstream.worker.tracer {
            self.0.upstream.spans = Some(Box::new(ClientSpans::new(tracer.settings(), &trace)));
        }
        self.trace = Some(trace);
    }

    /// The connection that the request came on.
    pub(super) fn downstream(&self) -> &Rc<Downstream> {
        &self.0.downstream
    }

    /// Whether its answer has no body, whatever its fields say.
    pub(super) fn is_head(&self) -> bool {
        self.0.method == Method::HEAD
    }

    /// Its method.
    pub(super) fn method(&self) -> &Method {
        &self.0.method
    }

    /// Its deadline.
    pub(super) fn watch(&self) -> &Rc<Watch> {
        &self.0.watch
    }

    /// The request body, if there is one.
    pub(super) fn upload(&self) -> Option<Rc<Upload>> {
        self.0.upload.clone()
    }

    /// Notes whether the answer begins before the request has come to its end. Returns whether the
    /// connection has to be closed for it.
    pub(super) fn leaves_unread(&self) -> bool {
        let rest = self.0.upload.as_ref().map_or(Some(0), |upload| upload.rest());
        self.0.downstream.unread.set(rest != Some(0));
        let most = match self.0.downstream.worker.config.http1 {
            Http1::Ravelin => MOST_OF_REST,
            Http1::Hyper => SHORT_REST,
        };
        rest.is_none_or(|rest| rest > most)
    }

    /// Notes the route. Its timeouts start here. Errors if the body is larger than allowed.
    pub(super) fn routed(&mut self, table: Held, id: RouteId) -> Result<(), Reason> {
        self.keep_route(&table, id);
        if self.trace.is_some() {
            trace::note_route(self, &table, id);
        }
        self.0.timeouts = table.timeouts(id).copied();
        self.0.route = Some(Routed::by(table, id));
        if let Some(timeouts) = self.0.timeouts {
            self.0.patience = self.body_progress();
            self.0.watch.end_after(timeouts.request);
        }
        // Those of a call are others even if its route has none of its own.
        if self.0.timeouts.is_some() || self.may_pause() {
            self.await_head();
        }
        let upload = self.0.upload.as_deref();
        self.route().map_or(Ok(()), |(table, id)| middleware::admit(table, id, upload))
    }

    /// Its route, if it has one, until the head of the answer.
    pub(super) fn route(&self) -> Option<(&Held, RouteId)> {
        self.0.route.as_ref()?.table()
    }

    /// The timeouts of its route, if that sets any.
    pub(super) fn timeouts(&mut self) -> &mut Option<Timeouts> {
        &mut self.0.timeouts
    }

    /// How long nothing may move in a body.
    pub(super) fn body_progress(&self) -> Duration {
        let own = self.0.timeouts.as_ref().and_then(|own| own.body_progress);
        own.unwrap_or(self.0.downstream.worker.config.timeouts.body_progress)
    }

    /// How long nothing may move in a tunnel, or a stream of messages.
    pub(super) fn tunnel_idle(&self) -> Duration {
        let own = self.0.timeouts.as_ref().and_then(|own| own.tunnel_idle);
        own.unwrap_or(self.0.downstream.worker.config.timeouts.tunnel_idle)
    }

    /// Starts the timer of the upstream's response.
    pub(super) fn await_head(&self) {
        let own = self.0.timeouts.as_ref().and_then(|own| own.response_head);
        let response_head = own.unwrap_or(self.0.downstream.worker.config.timeouts.response_head);
        let limit = self.0.upload.as_ref().map_or(response_head, |upload| {
            let progress = if self.may_pause() { self.tunnel_idle() } else { self.body_progress() };
            upload.set_limits(UploadLimits { progress, response_head });
            progress
        });
        self.0.watch.enter(Phase::Exchange, limit);
    }

    /// Sets the queue deadline.
    pub(super) fn queues(&self, limit: Duration) {
        self.0.watch.enter(Phase::Exchange, limit.saturating_add(TICK));
    }

    /// Notes that it has had its turn.
    pub(super) fn dequeued(&mut self, endpoint: InFlight) {
        self.0.upstream.queued = self.0.upstream.started.elapsed();
        self.0.upstream.endpoint = Some(endpoint);
        self.await_head();
    }

    /// The version of HTTP that it came in.
    pub(super) fn version(&self) -> Version {
        self.0.version
    }

    /// The endpoint that it went to last.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.0.upstream.endpoint.as_ref().map(|sent| &**sent.endpoint())
    }

    /// Notes that the request goes upstream now.
    pub(super) fn sent(&mut self) -> &mut UpstreamState {
        self.0.sent = true;
        &mut self.0.upstream
    }

    /// Closes the connection, or the stream, that it was sent on: what is still to come is not wanted.
    pub(super) fn give_up_upstream(&mut self) {
        self.0.upstream.lease = None;
    }

    /// Notes that its answer is a stream of messages, which may be long in coming.
    pub(super) fn streams(&mut self) {
        self.0.patience = self.tunnel_idle();
    }

    /// Notes the upstream's response head. The route is not known any more after it.
    pub(super) fn answered(&mut self, status: StatusCode) {
        let record = &mut *self.0;
        let now = Instant::now();
        let took = record.upstream.took_until(now);
        record.head = Some((now, took));
        record.status = Some(status);
        let is_short = |upload: &Rc<Upload>| upload.bytes() <= SHORT_UPLOAD;
        let is_timed = record.upload.as_ref().is_none_or(is_short);
        let worker = &record.downstream.worker;
        let head = ResponseHead { status, received: now, took, is_timed };
        worker.upstream.answered(&record.upstream, head, || worker.random());
        // From here on the pod's word counts for both ways.
        if let Some(upload) = &record.upload {
            upload.set_limits(UploadLimits { progress: record.patience, ..upload.limits() });
        }
        if let Some(route) = &mut record.route {
            route.release(&record.downstream);
        }
        self.moved();
    }

    /// Notes that we answer ourselves, with this status.
    pub(super) fn refused(&mut self, reason: Reason, status: StatusCode) {
        if reason == Reason::UpstreamTimeout {
            self.0.upstream.timed_out();
        }
        self.0.reason = Some(reason);
        self.0.status = Some(status);
        // Our answer is to pass even if there is no time left for it.
        self.0.watch.end_after(None);
        self.moved();
    }

    /// Notes body bytes handed to the client's connection.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.0.bytes_out += bytes as u64;
        self.0.starved = false;
        self.moved();
    }

    /// Notes that the client's connection could take more than the upstream has sent.
    pub(super) fn starved(&mut self) {
        self.0.starved = true;
    }

    /// Notes what went through a tunnel: the client's bytes, and the pod's.
    pub(super) fn relayed(&mut self, client: u64, pod: u64) {
        self.0.relayed = client;
        self.0.bytes_out = pod;
    }

    /// Notes that the answer broke off, and why.
    pub(super) fn broke_off(&mut self, reason: Reason) {
        self.0.reason.get_or_insert(reason);
    }

    /// Notes that the answer is through. If the request is as well, the upstream connection can
    /// serve another; else it is closed with this record.
    pub(super) fn complete(&mut self) {
        let record = &mut *self.0;
        record.complete = true;
        let sent = |upload: &Rc<Upload>| upload.state() == UploadState::Done;
        if record.upload.as_ref().is_none_or(sent)
            && let Some(lease) = record.upstream.lease.take()
        {
            lease.release();
        }
    }

    /// The response has `body_progress` from now for its next step.
    fn moved(&self) {
        self.0.watch.enter(Phase::Response, self.0.patience);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let record = &mut *self.0;
        let Downstream { worker, streams, .. } = &*record.downstream;
        let watch = &record.watch;
        if !record.complete {
            let is_too_large = |upload: &Rc<Upload>| upload.state() == UploadState::TooLarge;
            record.reason.get_or_insert(match (watch.expired(), record.starved) {
                _ if record.downstream.is_aborting() => Reason::CutByDrain,
                _ if record.upload.as_ref().is_some_and(is_too_large) => Reason::BodyTooLarge,
                _ if watch.ends_early() => Reason::MemoryReclaimed,
                (Some(Phase::Response), _) if watch.is_overdue() => Reason::RequestDeadline,
                (Some(Phase::Response), true) => Reason::UpstreamStalled,
                (Some(Phase::Response), false) => Reason::ClientStalled,
                _ => Reason::ClientGone,
            });
        }
        record.finish();
        if let Some(streams) = streams {
            if record.reason == Some(Reason::ClientGone) {
                streams.give_up();
            }
            // The end of the answer may still be with h2, which has a deadline for that.
            return;
        }
        // A deadline that has passed is for the connection to act on; it must not be covered up.
        if watch.expired().is_none() && !watch.ends_early() {
            watch.enter(Phase::Idle, worker.config.timeouts.downstream_idle);
        }
    }
}
