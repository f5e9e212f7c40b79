//! A request body as it comes from the client's connection.

use super::ClientBody;
use crate::net::memory::Inflow;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

/// A request body from the client, counted as it is read. Dropping it reads what has already arrived, so
/// that the count stays correct.
#[derive(Debug)]
pub struct Inbound<B: Body<Data = Bytes> + Unpin = ClientBody> {
    body: B,
    taken: i64,
    /// The connection's, with HTTP/2.
    inflow: Option<Rc<Inflow>>,
}

impl<B: Body<Data = Bytes> + Unpin> Inbound<B> {
    /// A body of which nothing was read.
    pub fn new(body: B, inflow: Option<Rc<Inflow>>) -> Self {
        inflow.iter().for_each(|inflow| inflow.opened());
        Self { body, taken: 0, inflow }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Inbound<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let (Some(inflow), Some(Ok(frame))) = (&this.inflow, &frame) {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            this.taken += bytes;
            inflow.taken(bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Drop for Inbound<B> {
    fn drop(&mut self) {
        let Some(inflow) = self.inflow.clone() else { return };
        let mut cx = Context::from_waker(Waker::noop());
        let is_open = !self.body.is_end_stream()
            && loop {
                match Pin::new(&mut *self).poll_frame(&mut cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(_) => break false,
                    Poll::Pending => break true,
                }
            };
        inflow.dropped(self.taken, is_open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Account, Budget, Ledger};
    use std::sync::Arc;

    fn mk_account() -> Arc<Account> {
        Account::open(&Ledger::new(Budget::new(1 << 30), Arc::default()))
    }

    #[test]
    fn what_h2_drops_with_a_stream_that_is_reset_is_not_held() {
        let account = mk_account();
        let inflow = Inflow::new(Arc::clone(&account), 65_535);
        let pieces = |pieces: &'static [&'static str]| {
            let arrived = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
            Inbound::new(Arrived(arrived), Some(Rc::clone(&inflow)))
        };
        let (first, second) = (pieces(&["abc"]), pieces(&["de", "f"]));
        for stream in [1, 3, 5] {
            inflow.received(stream, 3);
        }
        drop((first, second));
        assert_eq!(inflow.held(), 3, "stream 5, which goes on");
        // Read before h2 has sent the resets.
        inflow.received(1, 1000);
        inflow.received(3, 500);
        assert_eq!(inflow.held(), 1503);
        inflow.reset(3);
        inflow.reset(1);
        assert_eq!(inflow.held(), 3);
        inflow.received(3, 700);
        assert_eq!((inflow.held(), account.held()), (3, 3), "nothing of a stream that is reset");
    }

    /// A body of pieces that have arrived already, whose end has not.
    struct Arrived(Vec<Bytes>);

    impl Body for Arrived {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            (!self.0.is_empty())
                .then(|| self.0.remove(0))
                .map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
        }
    }

    #[test]
    fn a_body_that_is_dropped_holds_nothing_of_what_has_arrived() {
        let account = mk_account();
        let inflow = Inflow::new(Arc::clone(&account), 65_535);
        let pieces = vec![Bytes::from_static(b"four"), Bytes::from_static(b"three")];
        let body = Inbound::new(Arrived(pieces), Some(Rc::clone(&inflow)));
        inflow.received(1, 9);
        assert_eq!(account.held(), 9);
        drop(body);
        assert_eq!(account.held(), 0);
    }
}
