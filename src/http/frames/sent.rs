//! The frames that we send, followed for what they say of request bodies.

use super::scan::Scanner;
use super::{RST_STREAM, WINDOW_UPDATE};
use crate::net::memory::Inflow;

/// Where in our frames the connection is.
#[derive(Debug)]
pub(super) struct Sent {
    scanner: Scanner,
    /// A WINDOW_UPDATE for the connection: its increment, as far as it has gone, and how many of the
    /// four bytes are missing.
    increment: u32,
    missing: u8,
}

impl Sent {
    pub(super) fn new() -> Self {
        Self { scanner: Scanner::new(0), increment: 0, missing: 0 }
    }

    /// Records bytes written to the socket.
    pub(super) fn wrote(&mut self, mut bytes: &[u8], inflow: &Inflow) {
        loop {
            self.take_increment(bytes, inflow);
            let Some((header, rest)) = self.scanner.next(bytes) else { return };
            bytes = rest;
            match (header.kind, header.stream) {
                (RST_STREAM, stream) => inflow.reset(stream),
                (WINDOW_UPDATE, 0) => (self.increment, self.missing) = (0, 4),
                _ => {}
            }
        }
    }

    fn take_increment(&mut self, bytes: &[u8], inflow: &Inflow) {
        for byte in bytes.iter().take(usize::from(self.missing)) {
            self.increment = self.increment << 8 | u32::from(*byte);
            self.missing -= 1;
            if self.missing == 0 {
                inflow.released(self.increment & 0x7fff_ffff);
            }
        }
    }
}
