//! A client's socket as HTTP/2 reads it, with a deadline for request heads.
//!
//! h2 takes a head when it is whole: one in many small pieces, or without its last CONTINUATION frame
//! (RFC 9113 section 6.10), would wait for as long as the connection has other streams. So the frames
//! are followed here, by their headers alone.

use super::socket::ClientSocket;
use crate::deadline::{Phase, Watch};
use crate::memory::{Account, Kind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::io::InspectReader;

/// What a client begins with (RFC 9113 section 3.4), in bytes.
const PREFACE: usize = 24;

/// The header of a frame (section 4.1), in bytes.
const HEADER: usize = 9;

/// Frame types (section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// The flag by which a field block ends (section 6.2).
const END_HEADERS: u8 = 4;

/// Where in the frames a client is.
#[derive(Debug)]
struct Frames {
    /// Bytes of the preface that are still to come.
    preface: usize,
    /// The header of the frame, as far as it has come.
    header: [u8; HEADER],
    have: usize,
    /// Bytes of its payload that are still to come.
    left: usize,
    /// Whether a field block is to go on in the next frame.
    in_block: bool,
}

impl Frames {
    fn new() -> Self {
        Self { preface: PREFACE, header: [0; HEADER], have: 0, left: 0, in_block: false }
    }

    /// Takes note of bytes. Costs a step for each frame.
    fn read(&mut self, mut bytes: &[u8]) {
        let skip = |bytes: &mut &[u8], left: &mut usize| {
            let len = bytes.len().min(*left);
            *bytes = &bytes[len..];
            *left -= len;
        };
        skip(&mut bytes, &mut self.preface);
        loop {
            skip(&mut bytes, &mut self.left);
            if self.left == 0 && self.have == HEADER {
                self.have = 0;
            }
            if bytes.is_empty() {
                return;
            }
            let len = bytes.len().min(HEADER - self.have);
            self.header[self.have..self.have + len].copy_from_slice(&bytes[..len]);
            (self.have, bytes) = (self.have + len, &bytes[len..]);
            if self.have < HEADER {
                return;
            }
            let [a, b, c, kind, flags, ..] = self.header;
            self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            if matches!(kind, HEADERS | CONTINUATION) {
                self.in_block = flags & END_HEADERS == 0;
            }
        }
    }

    /// Whether something has begun that is of no use until its end. Of data each stream has a
    /// deadline of its own.
    fn is_amid(&self) -> bool {
        let in_frame = self.have > 0 && !(self.have == HEADER && self.header[3] == DATA);
        (1..PREFACE).contains(&self.preface) || in_frame || self.in_block
    }
}

/// What h2 holds of a field block that has begun and not ended, at most: what it has decoded, which
/// `limits.header_block` bounds, and what it could not decode yet.
const BLOCK: usize = 192 * 1024;

/// The charge for a block in several frames.
struct Block {
    account: Arc<Account>,
    is_open: bool,
}

impl Block {
    fn set(&mut self, is_open: bool) {
        match (self.is_open, is_open) {
            (false, true) => self.account.charge(Kind::Requests, BLOCK),
            (true, false) => self.account.release(Kind::Requests, BLOCK),
            _ => {}
        }
        self.is_open = is_open;
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// A client's connection that follows its frames as they are read. `head` expires when a head, or
/// another frame without data, has taken longer than `limit` from its first byte to its last.
pub fn follow_frames(
    socket: ClientSocket,
    head: Rc<Watch>,
    limit: Duration,
    account: Arc<Account>,
) -> InspectReader<ClientSocket, impl FnMut(&[u8])> {
    head.pause();
    let mut frames = Frames::new();
    let mut block = Block { account, is_open: false };
    InspectReader::new(socket, move |read: &[u8]| {
        let was_amid = frames.is_amid();
        frames.read(read);
        block.set(frames.in_block);
        match (was_amid, frames.is_amid()) {
            (false, true) => head.enter(Phase::Head, limit),
            (true, false) => head.pause(),
            _ => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(len).expect("short").to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + len, b'x');
        frame
    }

    #[test]
    fn a_head_is_amid_until_the_frame_that_ends_it_is_whole_however_it_is_cut() {
        let mut bytes = vec![b'P'; PREFACE];
        let mut amid = vec![true; PREFACE - 1];
        amid.push(false);
        for (frame, ends) in [
            (frame(4, 0, 12), true),
            (frame(HEADERS, 0, 5), false),
            (frame(CONTINUATION, 0, 0), false),
            (frame(CONTINUATION, END_HEADERS, 3), true),
            (frame(8, 0, 4), true),
        ] {
            amid.extend(vec![true; frame.len() - 1]);
            amid.push(!ends);
            bytes.extend(frame);
        }
        for size in 1..bytes.len() {
            let mut frames = Frames::new();
            let mut read = 0;
            for piece in bytes.chunks(size) {
                frames.read(piece);
                read += piece.len();
                assert_eq!(frames.is_amid(), amid[read - 1], "{read} bytes, in pieces of {size}");
            }
        }
    }

    #[test]
    fn data_that_is_on_its_way_is_for_its_stream_to_watch() {
        let mut frames = Frames::new();
        frames.read(&[b'P'; PREFACE]);
        let data = frame(DATA, 0, 100);
        frames.read(&data[..50]);
        assert!(!frames.is_amid());
        frames.read(&data[50..]);
        frames.read(&frame(HEADERS, END_HEADERS, 100)[..50]);
        assert!(frames.is_amid());
    }
}
