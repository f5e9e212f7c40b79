//! Spans on their way from workers to the thread that exports them: bounded by what they hold, never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Spans as they are exported.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// One behind the other, each as `ScopeSpans.spans` has it.
    pub(super) bytes: Vec<u8>,
    /// How many there are.
    pub(super) count: u64,
}

impl Spans {
    /// What they hold, in bytes.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

/// What the spans of all workers hold.
#[derive(Debug)]
pub(super) struct Held {
    bytes: AtomicUsize,
    most: usize,
    /// Spans that did not fit.
    dropped: AtomicU64,
}

impl Held {
    /// Bytes now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Spans that did not fit so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes room, if there is any.
    fn take(&self, bytes: usize) -> bool {
        let add = |held: usize| held.checked_add(bytes).filter(|&sum| sum <= self.most);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Gives it back.
    pub(super) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The end of a worker.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    spans: UnboundedSender<Spans>,
    held: Arc<Held>,
}

impl Sender {
    /// Hands spans over, or drops and counts them: if there is no room, or nobody takes them any more.
    pub(super) fn send(&self, spans: Spans) {
        let (bytes, count) = (spans.held(), spans.count);
        if !self.held.take(bytes) {
            self.held.dropped.fetch_add(count, Ordering::Relaxed);
        } else if self.spans.send(spans).is_err() {
            self.held.release(bytes);
            self.held.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// A queue of at most so many bytes.
pub(super) fn queue(most: usize) -> (Sender, UnboundedReceiver<Spans>, Arc<Held>) {
    let held = Arc::new(Held { bytes: AtomicUsize::new(0), most, dropped: AtomicU64::new(0) });
    let (spans, receiver) = unbounded_channel();
    (Sender { spans, held: Arc::clone(&held) }, receiver, held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(bytes: usize) -> Spans {
        Spans { bytes: vec![0; bytes], count: 2 }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (sender, mut receiver, held) = queue(100);
        for _ in 0..3 {
            sender.send(spans(40));
        }
        assert_eq!((held.bytes(), held.dropped()), (80, 2));
        let taken = receiver.try_recv().expect("the first");
        held.release(taken.held());
        sender.send(spans(60));
        assert_eq!((held.bytes(), held.dropped()), (100, 2));
        drop(receiver);
        sender.send(Spans { count: 2, ..Spans::default() });
        assert_eq!((held.bytes(), held.dropped()), (100, 4));
    }
}
