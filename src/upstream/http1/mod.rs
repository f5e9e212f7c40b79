//! HTTP/1.1 to the pods: one request at a time on a connection.
//!
//! No task and no channel stand between the request and its connection: the future that waits for the answer writes the
//! request and reads the head, and the body of the answer is read from the connection as it is asked for. A task comes
//! into being only where a pod answers before it has the whole request: it sends the rest meanwhile.
//!
//! **Invariant**: bytes that came for one request are never part of the answer to another: a connection is used again
//! only if both directions have come to their ends, and nothing is left of what was read.

mod body;
mod connection;
mod head;
mod keep;
mod output;
#[cfg(test)]
mod tests;
mod upgraded;

pub use body::{Http1Body, Http1BodyError};
pub(super) use keep::Keep;
pub use upgraded::Http1Upgraded;

use super::connect::EndpointStream;
use super::pool::Pooled;
use crate::error::Reason;
use crate::net::message::{Request, Response};
use crate::upstream::body::RequestBody;
use connection::Shared;
use std::rc::Rc;

/// A connection in use or in the pool. Dropping it closes the connection, whatever is still on it.
#[derive(Debug)]
pub(super) struct Http1Connection {
    shared: Rc<Shared>,
    /// Nothing at all was written on it yet.
    is_unused: bool,
    /// How long its pod keeps it, by its last answer.
    keep: Keep,
    /// Where on the connection its request begins.
    mark: u64,
    /// Whether its request is the first thing on the connection.
    is_first: bool,
}

impl Http1Connection {
    /// A new one, on which no request was sent.
    pub(super) fn new(stream: EndpointStream) -> Self {
        let is_unused = matches!(stream, EndpointStream::Plain(_));
        Self { shared: Shared::new(stream), is_unused, keep: Keep::Any, mark: 0, is_first: false }
    }

    /// Sends a request and waits for the head of its answer. The request stays where it is, so that it can be sent
    /// again with another body; with `gives_fields` its fields are gone once there is an answer.
    ///
    /// # Errors
    /// The connection ended before the head, the head cannot be read, or the client's body broke off. The connection is
    /// of no use any more.
    pub(super) async fn send(
        &mut self,
        request: &mut Request<RequestBody>,
        gives_fields: bool,
    ) -> Result<Response<Http1Body>, Reason> {
        let record = self.shared.record();
        self.mark = record.mark();
        self.is_first = std::mem::take(&mut self.is_unused);
        if !self.is_first && !request.method().is_safe() {
            // The kernel may know of an end of which the runtime has not heard yet.
            record.suspect();
            if !self.shared.is_open() {
                return Err(Reason::UpstreamClosed);
            }
        }
        let (response, keep) = self.shared.send(request, gives_fields).await?;
        self.keep = keep;
        Ok(response)
    }

    /// Whether the pod has read nothing of the request, which has failed.
    pub(super) fn was_unread(&self) -> bool {
        self.shared.record().is_unread_since(self.mark, self.is_first)
    }
}

impl Pooled for Http1Connection {
    fn is_open(&self) -> bool {
        self.shared.is_open()
    }

    async fn ready(&mut self) -> bool {
        self.shared.is_open()
    }

    fn rest(&mut self) -> Option<Keep> {
        self.shared.rest().then_some(self.keep)
    }
}

impl Drop for Http1Connection {
    fn drop(&mut self) {
        self.shared.close();
    }
}
