//! Bodies that are read whole before they are of use, at the cost of the client's connection.

use crate::net::memory::{Account, HolderKind};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldFailure {
    /// It broke off.
    Broken,
    /// It has more bytes than it may.
    TooLarge,
    /// There is no memory for it.
    NoRoom,
}

/// The charge of a body that is being read. Whatever holds the body afterwards charges it afresh.
#[derive(Debug)]
pub(super) struct HeldBody<'a> {
    account: &'a Arc<Account>,
    bytes: usize,
}

impl<'a> HeldBody<'a> {
    /// Without any bytes as yet.
    pub(super) fn new(account: &'a Arc<Account>) -> Self {
        Self { account, bytes: 0 }
    }

    /// Reads a body of `most` bytes at most. Trailers are dropped, as they may be (RFC 9110 section 6.5.1).
    ///
    /// # Errors
    /// Why it was not read to its end.
    pub(super) async fn read<B: Body + Unpin>(
        &mut self,
        mut body: B,
        most: u64,
    ) -> Result<Bytes, HoldFailure> {
        let mut whole = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|_| HoldFailure::Broken)?;
            let Ok(piece) = frame.into_data() else { continue };
            if (whole.len() + piece.remaining()) as u64 > most {
                return Err(HoldFailure::TooLarge);
            }
            self.take(piece.remaining())?;
            whole.put(piece);
        }
        Ok(whole.freeze())
    }

    fn take(&mut self, bytes: usize) -> Result<(), HoldFailure> {
        self.account.may_hold(bytes).map_err(|_| HoldFailure::NoRoom)?;
        self.account.charge(HolderKind::Bodies, bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for HeldBody<'_> {
    fn drop(&mut self) {
        self.account.release(HolderKind::Bodies, self.bytes);
    }
}
