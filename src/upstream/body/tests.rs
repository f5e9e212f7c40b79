use super::{Flow, ROOM, Reader, Upload, UploadLimits, UploadState};
use crate::net::deadline::Deadlines;
use crate::net::memory::{Account, Budget, Ledger};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A body that gives what it has, and then waits or ends.
struct Fed {
    pieces: VecDeque<Bytes>,
    ends: bool,
    /// Alive for as long as this is.
    _alive: Rc<()>,
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match this.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if this.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ends && self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

fn mk_upload(pieces: &[&'static [u8]], ends: bool) -> (Rc<Upload<Fed>>, Rc<()>) {
    let clock = Deadlines::new();
    let watch = clock.watch(Duration::from_secs(1));
    let limits =
        UploadLimits { progress: Duration::from_secs(1), response_head: Duration::from_secs(2) };
    let alive = Rc::new(());
    let pieces = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
    let fed = Fed { pieces, ends, _alive: Rc::clone(&alive) };
    let ledger = Ledger::new(Budget::new(1 << 30), Arc::default());
    let flow = Flow::new(Account::open(&ledger), ROOM);
    (Upload::new(watch, flow, limits, fed), alive)
}

/// The next piece; `None` at the end or where there is none yet.
fn next(reader: &mut Reader<Fed>) -> Option<Bytes> {
    match Pin::new(reader).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        Poll::Ready(_) | Poll::Pending => None,
    }
}

fn all(reader: &mut Reader<Fed>) -> Vec<u8> {
    std::iter::from_fn(|| next(reader)).flatten().collect()
}

#[test]
fn a_second_reader_gets_what_the_first_one_has_passed_on_and_goes_on_from_there() {
    for taken in 0..4 {
        let (upload, _alive) = mk_upload(&[b"ab", b"c", b"def"], true);
        let mut first = upload.read().expect("nothing is missing");
        (0..taken).for_each(|_| drop(next(&mut first)));
        let mut second = upload.read().expect("it is kept");
        assert_eq!(second.size_hint().exact(), Some(6), "{taken}");
        assert_eq!(next(&mut first), None, "it is another's turn");
        drop(first);
        assert_eq!(all(&mut second), b"abcdef", "{taken}");
        assert!(second.is_end_stream());
        assert_eq!((upload.bytes(), upload.state()), (6, UploadState::Done), "counted once");
    }
}

#[test]
fn a_reader_that_begins_again_after_the_end_waits_for_nobody() {
    let (upload, _alive) = mk_upload(&[b"ab"], true);
    assert_eq!(all(&mut upload.read().expect("nothing is missing")), b"ab");
    let mut again = upload.read().expect("it is kept");
    assert_eq!(upload.state(), UploadState::AwaitsUpstream);
    assert!(!again.is_end_stream());
    assert_eq!(next(&mut again).as_deref(), Some(&b"ab"[..]));
    assert!(again.is_end_stream());
}

#[test]
fn a_body_that_is_too_long_is_passed_on_whole_and_not_kept() {
    static LONG: [u8; 40_000] = [7; 40_000];
    let (upload, _alive) = mk_upload(&[&LONG, &LONG], true);
    let mut first = upload.read().expect("nothing is missing");
    assert_eq!(all(&mut first).len(), 80_000);
    assert!(upload.read().is_none());
}

#[test]
fn nothing_is_kept_once_it_is_settled_and_a_reader_on_its_way_loses_nothing() {
    let (upload, alive) = mk_upload(&[b"ab", b"c", b"d"], false);
    let mut first = upload.read().expect("nothing is missing");
    (0..2).for_each(|_| drop(next(&mut first)));
    let mut second = upload.read().expect("it is kept");
    upload.settle();
    assert!(upload.read().is_none());
    assert_eq!(all(&mut second), b"abcd");
    assert_eq!(upload.state(), UploadState::AwaitsClient);
    drop(first);
    assert_eq!(Rc::strong_count(&alive), 2, "it is being read");
    drop(second);
    assert_eq!(Rc::strong_count(&alive), 1, "the client can see that nobody reads it");
}

#[test]
fn a_body_that_nobody_reads_is_dropped_when_it_is_settled() {
    let (upload, alive) = mk_upload(&[b"ab"], true);
    drop(upload.read());
    assert_eq!(Rc::strong_count(&alive), 2, "it may be sent again");
    upload.settle();
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn as_much_is_kept_of_a_body_as_is_asked_for_and_it_is_whole_at_its_end() {
    static LONG: [u8; 40_000] = [7; 40_000];
    let (upload, _alive) = mk_upload(&[&LONG, b"ab", &LONG], true);
    upload.keep(100_000);
    let mut first = upload.read().expect("nothing is missing");
    assert!(next(&mut first).is_some());
    assert_eq!(upload.whole(), None, "there is more to come");
    assert_eq!(all(&mut first).len(), 40_002);
    assert_eq!(upload.whole().map(|whole| whole.len()), Some(80_002));
    assert_eq!(all(&mut upload.read().expect("it is kept")).len(), 80_002);

    let (upload, _alive) = mk_upload(&[&LONG, &LONG], true);
    upload.keep(79_999);
    assert_eq!(all(&mut upload.read().expect("nothing is missing")).len(), 80_000);
    assert_eq!(upload.whole(), None, "it is too long");
}
