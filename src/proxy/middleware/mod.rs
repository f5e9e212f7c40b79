//! Middleware: the steps that a route may ask for, each with a half for the request and one for the
//! response.
//!
//! What a step needs is compiled into the routing table. A route without steps pays a look at its entry
//! there: no allocation and no dynamic call.
//!
//! **Invariant**: a step refuses, or changes the message; it never sends one, and never blocks.

mod body_size;
mod hsts;

use crate::error::Reason;
use crate::routing::{RouteId, Table};
use crate::upstream::body::Upload;
use http::{HeaderMap, HeaderValue};
use std::num::NonZeroU64;

/// One step of a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'t> {
    /// `ravelin.dev/max-body-size`: the largest request body, in bytes.
    BodySize(NonZeroU64),
    /// `ravelin.dev/hsts`: the value of `Strict-Transport-Security` for visitors with TLS.
    Hsts(&'t HeaderValue),
}

impl Step<'_> {
    /// The request half: before the request goes to a pod.
    ///
    /// # Errors
    /// The reason that the request is refused with.
    pub(super) fn on_request(self, upload: Option<&Upload>) -> Result<(), Reason> {
        match self {
            Self::BodySize(most) => body_size::on_request(upload, most),
            Self::Hsts(_) => Ok(()),
        }
    }

    /// The response half, for the pod's response and for one of our own.
    pub(super) fn on_response(self, headers: &mut HeaderMap) {
        match self {
            Self::BodySize(_) => {}
            Self::Hsts(value) => hsts::on_response(headers, value),
        }
    }
}

/// The steps of a route, in the order in which requests pass them.
pub(super) fn steps(
    table: &Table,
    route: RouteId,
    over_tls: bool,
) -> impl Iterator<Item = Step<'_>> {
    let body_size = table.max_body(route).map(Step::BodySize);
    let hsts = table.hsts(route).filter(|_| over_tls).map(Step::Hsts);
    body_size.into_iter().chain(hsts)
}
