//! What `forward` learns of a request, step by step.

use super::rejected_head::Unreadable;
use crate::balance::Strategy;
use crate::http::{Noted, Target};
use crate::proxy::middleware::Passage;
use crate::routing::Backend;
use crate::telemetry::RequestProtocol;
use crate::telemetry::access_log::Details;
use crate::telemetry::traces::RequestTrace;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

/// The parts that `forward` fills in as it learns them.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Host and path, once they could be read.
    pub(super) target: Option<Target>,
    /// What was sent in their place, if they could not: for the log.
    pub(super) unreadable: Option<Box<Unreadable>>,
    /// The client's address as text, where it is another than the peer's.
    pub(super) client: Option<HeaderValue>,
    /// Whether the visitor came with TLS.
    pub(super) over_tls: bool,
    /// How its endpoint is chosen.
    pub(super) choice: Strategy,
    /// What it carries through the steps of its route, if that has any.
    pub(super) passage: Option<Box<Passage>>,
    /// The status that the client gets, where a page has come with another than the response had.
    pub(super) restated: Option<StatusCode>,
    /// What the request is, as far as its response says so.
    pub(super) protocol: RequestProtocol,
    /// Request fields for the log.
    pub(super) noted: Noted,
    /// What lines of another format, or with more in them, are made of.
    pub(super) details: Option<Box<Details>>,
    /// The number of the mark that its pod is still to get, if it is not traced.
    pub(super) unmarked: Option<u64>,
    /// Its trace, if it is traced.
    pub(super) trace: Option<Box<RequestTrace>>,
}

impl Parts {
    /// The Service that was chosen, where its route has several.
    pub(super) fn chosen(&self) -> Option<&Arc<Backend>> {
        Some(&self.passage.as_ref()?.service.as_ref()?.backend)
    }

    /// What the request was, for the metrics.
    pub(super) fn protocol(&self, is_tunnel: bool) -> RequestProtocol {
        if is_tunnel {
            return RequestProtocol::WebSocket;
        }
        let is_web_call = || self.passage.as_ref().is_some_and(|one| one.is_web_call());
        match self.protocol {
            RequestProtocol::Http if self.noted.grpc => RequestProtocol::Grpc,
            RequestProtocol::Http if is_web_call() => RequestProtocol::GrpcWeb,
            known => known,
        }
    }

    /// Who asked, for the log.
    pub(super) fn user(&self) -> Option<&[u8]> {
        self.passage.as_ref()?.user.as_ref().map(HeaderValue::as_bytes)
    }

    /// Host and path, for the log: as they were read, or else as they were sent.
    pub(super) fn asked(&self) -> (&[u8], &str) {
        match (&self.target, &self.unreadable) {
            (Some(target), _) => (target.host.as_bytes(), target.uri.path()),
            (None, Some(sent)) => (sent.host(), sent.path()),
            (None, None) => (b"", ""),
        }
    }
}
