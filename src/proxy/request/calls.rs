//! Calls of gRPC, whose messages may be long in coming, and who may say that a request is one.
//!
//! The content type alone is not enough: a request that claims to be gRPC could stall for as long as a
//! tunnel. Its Service has to speak gRPC, by its own word (`grpc`, `grpcs`) or because one of its pods has
//! answered a call as one; until then it has the bounds of every request. Once the pod has answered, what
//! it says counts for both ways.

use super::exchange::Exchange;
use crate::http::ReplyNoted;
use crate::routing::Backend;
use crate::telemetry::RequestProtocol;
use http::Version;

impl Exchange {
    /// Whether its client reads errors as those of gRPC, which there is over HTTP/2 alone.
    pub(super) fn is_grpc(&self) -> bool {
        self.noted.grpc && self.version() == Version::HTTP_2
    }

    /// Whether it is a call of gRPC-Web, which its pod gets as one of gRPC. Its client reads errors of HTTP.
    pub(super) fn is_web_call(&self) -> bool {
        self.passage.as_ref().is_some_and(|passage| passage.is_web_call())
    }

    /// The Service that it is a call of gRPC to, if that may speak it.
    fn called(&self) -> Option<&Backend> {
        let (table, id) = self.route().filter(|_| self.is_grpc() || self.is_web_call())?;
        let backend = self.chosen().unwrap_or_else(|| table.backend(id));
        backend.protocol.may_be_http2().then_some(backend)
    }

    /// Whether its messages may be long in coming before its pod has said anything.
    pub(super) fn may_pause(&self) -> bool {
        self.called().is_some_and(Backend::speaks_grpc)
    }

    /// Notes whether its pod says that messages may be long in coming: it answers with events, or over
    /// HTTP/2 as a call of gRPC is answered.
    pub(super) fn heard(&mut self, noted: ReplyNoted, is_http2: bool) {
        let called = if is_http2 && noted.grpc { self.called() } else { None };
        if let Some(backend) = called {
            backend.answered_call();
        }
        let streams = called.is_some() || noted.events;
        if noted.events {
            self.protocol = RequestProtocol::Events;
        }
        if streams {
            self.streams();
        }
    }
}
