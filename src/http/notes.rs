//! What a client connection of HTTP/1.1 knows of the request that is read on it.

use super::raw::Framing;
use crate::error::Reason;
use crate::net::memory::{Account, HeadCharge};
use http::Request;
use http_body::Body;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// State shared between the stream and the task that serves its requests.
#[derive(Debug)]
pub struct Notes {
    account: Arc<Account>,
    /// Set for each request that is read, unset when its answer has left to the last byte. What
    /// hyper writes while it is unset can only be its own answer to bytes that are no request.
    pub requested: Cell<bool>,
    /// Why hyper could not read a request, if so.
    pub refused: Cell<Option<Reason>>,
    /// How hyper reads the body of the request that it has handed over, until the stream takes note.
    pub(super) framing: Cell<Option<Framing>>,
    /// Bytes of the head that the stream has read last, as they came.
    pub(super) head_read: Cell<usize>,
    /// Bytes that the client had not acknowledged when its stall was last checked.
    unacknowledged: Cell<Option<u64>>,
    /// There is no memory for the rest of a request head.
    pub short: Cell<bool>,
    /// Bytes of a request head that has not ended.
    head: Cell<usize>,
    /// What is charged for it.
    held: RefCell<HeadCharge>,
}

impl Notes {
    /// For a new connection. Heads are charged to its account.
    pub fn new(account: Arc<Account>) -> Self {
        let held = RefCell::new(HeadCharge::new(Arc::clone(&account)));
        Self {
            account,
            requested: Cell::new(false),
            refused: Cell::new(None),
            framing: Cell::new(None),
            head_read: Cell::new(0),
            unacknowledged: Cell::new(None),
            short: Cell::new(false),
            head: Cell::new(0),
            held,
        }
    }

    /// Whether the answer to the last request is through.
    pub(super) fn answered(&self) -> bool {
        !self.requested.get()
    }

    /// Registers a request that hyper hands over, read to the end of its head, before hyper reads on.
    /// Returns the length of the head in bytes.
    pub fn begin(&self, request: &Request<impl Body>) -> usize {
        self.requested.set(true);
        self.head.set(0);
        self.held.borrow_mut().release();
        let body = request.body();
        self.framing.set(Some(match body.size_hint().exact() {
            // hyper leaves its way to the other protocol there, and nothing else.
            _ if body.is_end_stream() && !request.extensions().is_empty() => Framing::Upgrade,
            _ if body.is_end_stream() => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        }));
        self.head_read.get()
    }

    /// Notes further bytes of a head. hyper's buffer for it grows by doubling.
    pub(super) fn grow(&self, bytes: usize) {
        let head = self.head.get() + bytes;
        self.head.set(head);
        if !self.held.borrow_mut().has_room(head) {
            self.short.set(true);
        }
    }

    /// Whether the client has acknowledged something since it was last asked, or was never asked. The
    /// kernel buffers, which may be seconds of a slow client.
    pub(super) fn acknowledges(&self, unacknowledged: Option<u64>) -> bool {
        let moves = self.unacknowledged.replace(unacknowledged) != unacknowledged;
        if moves {
            self.account.move_on();
        }
        moves
    }
}
