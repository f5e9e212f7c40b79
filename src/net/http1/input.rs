//! What is read of a connection, in pieces of a size that fits what comes.
//!
//! The room for it comes from the worker's spare and goes back there, so that a connection has none while it rests.

use super::FieldPlace;
use crate::net::fields::FieldMap;
use bytes::{BufMut, BytesMut};
use memchr::memmem;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncRead;

/// The least that is read at once, in bytes: most answers are shorter.
const LEAST: usize = 8 * 1024;

/// The most, as a piece of a body is kept whole until the other side has taken it.
const MOST: usize = 32 * 1024;

/// As much of the beginning of an answer is read at once where the last one was longer than [`MOST`] and not longer than
/// this: 64 KiB with a head are one piece then. What a client costs that stops reading is decided by the pieces behind.
const BEGINNING: usize = 72 * 1024;

/// Room kept by a worker for the next messages.
const SPARE: usize = 16;

thread_local! {
    static SPARES: RefCell<Vec<Room>> = const { RefCell::new(Vec::new()) };
}

/// What it takes to read a head.
type Room = (BytesMut, Vec<FieldPlace>, FieldMap);

/// Bytes that have come and are not decoded, and how much is read at once.
#[derive(Debug)]
pub struct Input {
    /// What is not decoded.
    pub bytes: BytesMut,
    /// Room for the places of a head's fields.
    pub places: Vec<FieldPlace>,
    /// Room for a head's fields.
    pub fields: FieldMap,
    /// How much is read at once.
    room: usize,
    /// Bytes that have come of the message.
    came: usize,
    /// Whether the last read took all that there was room for, so that more may be here.
    was_full: bool,
    /// Of the bytes, those that are known to be no whole head.
    pub seen: usize,
}

impl Input {
    /// Of a new connection.
    pub fn empty() -> Self {
        let (bytes, places, fields) = Room::default();
        // What came with the end of a handshake is decrypted already.
        let was_full = true;
        Self { bytes, places, fields, room: LEAST, came: 0, was_full, seen: 0 }
    }

    /// Begins to read an answer, which is likely to be as long as the last.
    pub fn begin_as_last(&mut self) {
        let room = match self.came {
            0..=LEAST => LEAST,
            came if came > MOST && came <= BEGINNING => BEGINNING,
            _ => MOST,
        };
        self.begin();
        self.room = room;
    }

    /// Begins to read a message.
    pub fn begin(&mut self) {
        self.room = LEAST;
        self.came = 0;
        if let Some(spare) = SPARES.with_borrow_mut(Vec::pop) {
            (self.bytes, self.places, self.fields) = spare;
        }
    }

    /// Gives the room back; the connection rests.
    pub fn rest(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let spare = (bytes, std::mem::take(&mut self.places), std::mem::take(&mut self.fields));
        SPARES.with_borrow_mut(|spares| {
            if spares.len() < SPARE && spare.0.capacity() <= MOST {
                spares.push(spare);
            }
        });
    }

    /// Whether there may be more to read of which the runtime does not tell: TLS has decrypted it already.
    pub fn may_have_more(&self) -> bool {
        self.was_full
    }

    /// Reads on; 0 at the end. `known`: how much is still to come, if it is known.
    ///
    /// # Errors
    /// The error of the stream.
    pub fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        known: Option<u64>,
    ) -> Poll<io::Result<usize>> {
        let most = if self.came < BEGINNING { self.room } else { self.room.min(MOST) };
        let room = match known.map(usize::try_from) {
            // One more than there is to come: a read that is not full says that no more is here. Who has sent so much at once
            // has likely sent the rest.
            Some(Ok(left)) if self.was_full && self.came < BEGINNING => {
                left.saturating_add(1).clamp(LEAST, BEGINNING)
            }
            Some(Ok(left)) => left.saturating_add(1).clamp(LEAST, MOST.max(most)),
            _ => most,
        };
        if self.bytes.capacity() - self.bytes.len() < room {
            self.bytes.reserve(room);
        }
        let mut buf = (&mut self.bytes).limit(room);
        let read = ready!(tokio_util::io::poll_read_buf(Pin::new(stream), cx, &mut buf))?;
        self.came += read;
        self.was_full = read == room;
        if read == room {
            self.room = (2 * room).clamp(self.room.min(MOST), MOST);
        } else if self.came > BEGINNING && read < room / 2 {
            self.room = (room / 2).max(LEAST);
        }
        Poll::Ready(Ok(read))
    }

    /// Whether a look at the bytes is worth it: a head that comes in drips is not parsed again for each.
    pub fn may_be_whole(&self) -> bool {
        let new = self.bytes.get(self.seen.saturating_sub(3)..).unwrap_or_default();
        let has_end =
            || memmem::find(new, b"\n\r\n").or_else(|| memmem::find(new, b"\n\n")).is_some();
        self.bytes.len() > self.seen && (self.seen == 0 || has_end())
    }
}
