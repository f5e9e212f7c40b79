//! How a request gets its connection: an endpoint is chosen, and a connection to it is used again or
//! opened.

use super::attempt::Attempt;
use super::connect::{self, EndpointStream, Failure, Opened};
use super::http1::Http1Connection;
use super::http2::Begun;
use super::hyper_http1::HyperConnection;
use super::pool::Key;
use super::retry::Unanswered;
use super::{Kind, Lease};
use crate::balance::{Endpoint, InFlight, Moment};
use crate::config::Http1;
use crate::error::Reason;
use crate::model::HostSent;
use crate::net::fields::Fields;
use http::{HeaderValue, header};
use std::sync::Arc;
use std::time::Duration;

/// A connection that was opened, or a stream of one.
pub(super) struct Acquired {
    pub(super) lease: Lease,
    /// Whether this request opened it; another one may have, meanwhile.
    pub(super) is_own: bool,
}

impl<R: Fn() -> u64> Attempt<'_, R> {
    /// Begins the request at one of the endpoints, `first` if it has begun there already, and
    /// returns which connections lead there.
    pub(super) fn choose(&mut self, first: Option<InFlight>, now: Moment) -> Result<Key, Reason> {
        let set = self.renewed.as_deref().unwrap_or(self.destination.endpoints);
        let destination = &self.destination;
        let begun = first.or_else(|| destination.begin(set, (self.random)(), now, &self.tried));
        let Some(begun) = begun else { return Err(self.last) };
        let endpoint = self.state.endpoint.insert(begun).endpoint();
        self.upstream.note_pick(set, endpoint);
        let key = Key::new(endpoint, destination.protocol);
        if destination.host == HostSent::Endpoints {
            self.name_endpoint();
        }
        if self.state.spans.is_some() {
            self.begin_span();
        }
        Ok(key)
    }

    /// Begins the span of an attempt, and has the request name it.
    #[cold]
    pub(super) fn begin_span(&mut self) {
        let random = (self.random)();
        if let (Some(spans), Some(request), Some(sent)) =
            (&mut self.state.spans, self.request.as_mut(), &self.state.endpoint)
        {
            spans.begin(request.headers_mut(), sent.endpoint(), random);
        }
    }

    /// Has the request name its endpoint as its host, which may be another with each attempt.
    #[cold]
    fn name_endpoint(&mut self) {
        let external = self.destination.backend.external.as_ref().map(ToString::to_string);
        let text = external.or_else(|| self.endpoint().map(|endpoint| endpoint.text.to_string()));
        // Both are names or addresses with a port, and so values of the field.
        let value = text.and_then(|text| HeaderValue::try_from(text).ok());
        if let (Some(request), Some(value)) = (self.request.as_mut(), value) {
            request.headers_mut().set(header::HOST, value);
        }
    }

    /// Where the request is.
    pub(super) fn endpoint(&self) -> Option<Arc<Endpoint>> {
        self.state.endpoint.as_ref().map(|sent| Arc::clone(sent.endpoint()))
    }

    /// A connection that has served before.
    pub(super) async fn reuse(&self, key: Key) -> Option<Lease> {
        let protocol = self.destination.protocol;
        if protocol.may_be_http2()
            && let Some(lease) = self.upstream.http2.take(key)
        {
            return Some(Lease(Kind::Http2(lease)));
        }
        if !protocol.may_be_http1() {
            return None;
        }
        Some(Lease(match self.upstream.settings.http1 {
            Http1::Ravelin => Kind::Http1(self.upstream.pool.take(key).await?),
            Http1::Hyper => Kind::Hyper(self.upstream.hyper_pool.take(key).await?),
        }))
    }

    /// Opens a connection to an endpoint, or takes a stream of one that another request has opened
    /// meanwhile.
    pub(super) async fn open(&self, endpoint: &Arc<Endpoint>) -> Result<Acquired, Unanswered> {
        let protocol = self.destination.protocol;
        let key = Key::new(endpoint, protocol);
        let http2 = &self.upstream.http2;
        if !protocol.may_be_http2() {
            return match self.connect(endpoint).await? {
                Opened::Http1(stream) => self.adopt(key, endpoint, stream).await,
                Opened::Http2(_) => Err(Unanswered::of(Reason::UpstreamTlsFailed)),
            };
        }
        loop {
            let guard = match http2.begin(key, endpoint) {
                Begun::Lease(lease) => {
                    self.upstream.cells.upstream.reuses.add(1);
                    return Ok(Acquired { lease: Lease(Kind::Http2(lease)), is_own: false });
                }
                Begun::Wait(opening) => match opening.wait().await {
                    Some(reason) => return Err(Unanswered::of(reason)),
                    None => continue,
                },
                Begun::Open(guard) => guard,
            };
            let opened = match self.connect(endpoint).await {
                Ok(Opened::Http1(stream)) => {
                    http2.note_http1(key);
                    return self.adopt(key, endpoint, stream).await;
                }
                Ok(Opened::Http2(stream)) => {
                    let adopting = http2.adopt(key, endpoint, stream, self.connect_limit());
                    adopting.await.map_err(|reason| {
                        self.upstream.note_failure(endpoint, (self.random)());
                        Unanswered::of(reason)
                    })
                }
                Err(failed) => Err(failed),
            };
            return match opened {
                Ok(lease) => Ok(Acquired { lease: Lease(Kind::Http2(lease)), is_own: true }),
                Err(failed) => {
                    guard.fail(failed.reason);
                    Err(failed)
                }
            };
        }
    }

    /// Lends a connection that this request has opened.
    async fn adopt(
        &self,
        key: Key,
        endpoint: &Arc<Endpoint>,
        stream: EndpointStream,
    ) -> Result<Acquired, Unanswered> {
        let upstream = self.upstream;
        let kind = match upstream.settings.http1 {
            Http1::Ravelin => {
                Kind::Http1(upstream.pool.adopt(key, endpoint, Http1Connection::new(stream)))
            }
            Http1::Hyper => {
                let opened = HyperConnection::new(endpoint.addr, stream).await;
                let connection = opened.ok_or(Unanswered::of(Reason::ConnectFailed))?;
                Kind::Hyper(upstream.hyper_pool.adopt(key, endpoint, connection))
            }
        };
        Ok(Acquired { lease: Lease(kind), is_own: true })
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Opened, Unanswered> {
        let cells = &self.upstream.cells.upstream;
        let protocol = self.destination.protocol;
        let opened = connect::connect(endpoint.addr, protocol, self.connect_limit()).await;
        opened.inspect(|_| cells.connects.add(1)).map_err(|Failure { reason, is_ours }| {
            cells.connect_failures.add(1);
            if matches!(reason, Reason::UpstreamTlsFailed | Reason::UpstreamUntrusted) {
                cells.tls_failures.add(1);
            }
            if !is_ours {
                self.upstream.note_failure(endpoint, (self.random)());
            }
            Unanswered::of(reason)
        })
    }

    /// How long connecting may take.
    fn connect_limit(&self) -> Duration {
        self.destination.connect.unwrap_or(self.upstream.settings.connect)
    }
}
