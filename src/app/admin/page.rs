//! The page of metrics on its way over one connection.

use super::seats::Reading;
use crate::telemetry::scrape::{BrokenOff, Page};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The page, whose connection reads until it is through or given up.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) page: Page,
    pub(super) _reading: Reading,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.page).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.page.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.page.size_hint()
    }
}
