//! Which connection a request is sent on: one that has served before, or a new one.

use super::connect::{self, Failure, Opened};
use super::http2::Begun;
use super::pool::{Connection, Key};
use super::report::Unanswered;
use super::{Kind, Lease, To, Upstream};
use crate::balance::Endpoint;
use crate::error::Reason;
use crate::model::Protocol;
use std::sync::Arc;
use std::time::Duration;

/// Where a new connection is to lead.
#[derive(Clone, Copy)]
pub(super) struct Target<'t> {
    pub(super) endpoint: &'t Arc<Endpoint>,
    pub(super) key: Key,
    pub(super) protocol: &'t Protocol,
    /// How long connecting may take.
    limit: Duration,
}

impl<'t> Target<'t> {
    /// An endpoint of `to`; `connect` is how long connecting may take where that does not say.
    pub(super) fn new(endpoint: &'t Arc<Endpoint>, to: &To<'t>, connect: Duration) -> Self {
        let key = Key::new(endpoint, to.protocol);
        Self { endpoint, key, protocol: to.protocol, limit: to.connect.unwrap_or(connect) }
    }
}

impl Upstream {
    /// A connection that has served before.
    pub(super) async fn take(&self, key: Key, protocol: &Protocol) -> Option<Lease> {
        if protocol.may_be_http2()
            && let Some(lease) = self.http2.take(key)
        {
            return Some(Lease(Kind::Http2(lease)));
        }
        if !protocol.may_be_http1() {
            return None;
        }
        Some(Lease(Kind::Http1(self.pool.take(key).await?)))
    }

    /// A new connection, or a stream of one that somebody else has opened meanwhile; and whether it
    /// is the former.
    pub(super) async fn open(
        &self,
        target: Target<'_>,
        random: &impl Fn() -> u64,
    ) -> Result<(Lease, bool), Unanswered> {
        let Target { endpoint, key, protocol, limit } = target;
        if !protocol.may_be_http2() {
            return match self.connect(target, random).await? {
                Opened::Http1(connection) => Ok((self.lend(target, connection), true)),
                Opened::Http2(_) => Err(Unanswered::of(Reason::UpstreamTlsFailed)),
            };
        }
        loop {
            let guard = match self.http2.begin(key, endpoint) {
                Begun::Lease(lease) => {
                    self.cells.upstream.reuses.add(1);
                    return Ok((Lease(Kind::Http2(lease)), false));
                }
                Begun::Wait(opening) => match opening.wait().await {
                    Some(reason) => return Err(Unanswered::of(reason)),
                    None => continue,
                },
                Begun::Open(guard) => guard,
            };
            let opened = match self.connect(target, random).await {
                Ok(Opened::Http1(connection)) => {
                    self.http2.note_http1(key);
                    return Ok((self.lend(target, connection), true));
                }
                Ok(Opened::Http2(stream)) => {
                    let place = (key, endpoint);
                    let adopting = self.http2.adopt(place, stream, limit).await;
                    adopting.map_err(|reason| {
                        self.note_failure(endpoint, random());
                        Unanswered::of(reason)
                    })
                }
                Err(failed) => Err(failed),
            };
            return match opened {
                Ok(lease) => Ok((Lease(Kind::Http2(lease)), true)),
                Err(failed) => {
                    guard.fail(failed.reason);
                    Err(failed)
                }
            };
        }
    }

    fn lend(&self, target: Target<'_>, connection: Connection) -> Lease {
        Lease(Kind::Http1(self.pool.adopt(target.key, target.endpoint, connection)))
    }

    async fn connect(
        &self,
        target: Target<'_>,
        random: &impl Fn() -> u64,
    ) -> Result<Opened, Unanswered> {
        let cells = &self.cells.upstream;
        let Target { endpoint, protocol, limit, .. } = target;
        let opened = connect::connect(endpoint.addr, protocol, limit).await;
        opened.inspect(|_| cells.connects.add(1)).map_err(|Failure { reason, is_ours }| {
            cells.connect_failures.add(1);
            if matches!(reason, Reason::UpstreamTlsFailed | Reason::UpstreamUntrusted) {
                cells.tls_failures.add(1);
            }
            if !is_ours {
                self.note_failure(target.endpoint, random());
            }
            Unanswered::of(reason)
        })
    }
}
