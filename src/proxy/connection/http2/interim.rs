//! What is said before the answer to a request: interim responses of its pod, and 100 (RFC 9110 section 15.2).

use crate::http::clean_interim;
use crate::net::deadline::Watch;
use crate::net::fields::{FieldMap, Fields};
use crate::net::message::{InterimSink, ResponseParts};
use crate::proxy::Downstream;
use crate::upstream::body::Piece;
use h2::server::SendResponse;
use http::StatusCode;
use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The most bytes of interim responses to one request, as h2 counts fields: it holds them for a client that takes
/// nothing, and does not say how many have left. It is hours of a 102 every few seconds.
const MOST_INTERIM: usize = 64 * 1024;

/// What RFC 9113 section 6.5.2 adds to a field, and our own measure of a response without any.
const OVERHEAD: usize = 32;

/// The way to a client, on the stream of its request.
pub(super) struct Interim {
    sender: RefCell<SendResponse<Piece>>,
    downstream: Rc<Downstream>,
    /// The deadline of the request.
    watch: Rc<Watch>,
    /// Bytes that may still be sent before the answer.
    room: Cell<usize>,
}

impl Interim {
    pub(super) fn new(
        sender: SendResponse<Piece>,
        downstream: Rc<Downstream>,
        watch: Rc<Watch>,
    ) -> Rc<Self> {
        let (sender, room) = (RefCell::new(sender), Cell::new(MOST_INTERIM));
        Rc::new(Self { sender, downstream, watch, room })
    }

    /// Whether the client has reset the stream, or is gone.
    pub(super) fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sender.borrow_mut().poll_reset(cx).map(drop)
    }

    /// The stream, to send the answer on it. Nothing comes before that any more.
    pub(super) fn end(&self) -> RefMut<'_, SendResponse<Piece>> {
        self.room.set(0);
        self.sender.borrow_mut()
    }

    /// Has the client send its body.
    pub(super) fn go_on(&self) {
        self.send(StatusCode::CONTINUE, FieldMap::new());
    }

    /// Sends one, if there is room for it. Returns whether there was.
    fn send(&self, status: StatusCode, fields: FieldMap) -> bool {
        let of_field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len() + OVERHEAD
        };
        let bytes = OVERHEAD + fields.iter().map(of_field).sum::<usize>();
        let Some(left) = self.room.get().checked_sub(bytes) else { return false };
        self.room.set(left);
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = fields.into();
        // An error: the stream is closed, of which its answer hears as well.
        let _ = self.sender.borrow_mut().send_informational(response);
        true
    }
}

impl InterimSink for Interim {
    fn pass(&self, mut head: ResponseParts, _: &mut Context<'_>) {
        clean_interim(&mut head.headers);
        if self.send(head.status, head.headers) {
            // A pod that says that it works on the request is not silent.
            self.watch.prolong(self.downstream.worker.config.timeouts.response_head);
        }
    }
}

impl fmt::Debug for Interim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interim").field("room", &self.room).finish_non_exhaustive()
    }
}
