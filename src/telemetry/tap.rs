//! Readers of the access log while it is written: `GET /api/v1/log/stream` of the admin socket.
//!
//! The log's own thread hands on the buffers that it writes, so that a worker does nothing for a reader, and without one
//! the thread looks at one number for each buffer. A reader that is slower than the log loses lines, which are counted for
//! it; it never delays the log.

use bytes::Bytes;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// Readers at one time: people who look for something.
const READERS: usize = 4;

/// Buffers that wait for a reader: some 2 MiB, which readers share.
const BUFFERS: usize = 16;

/// Where readers join and leave.
#[derive(Debug, Default)]
pub struct LogTap {
    /// How many there are, or were when the last buffer came.
    count: AtomicUsize,
    readers: Mutex<Vec<Joined>>,
}

/// The log's end of a reader.
#[derive(Debug)]
struct Joined {
    buffers: Sender<Bytes>,
    dropped: Arc<AtomicU64>,
}

/// A reader; it leaves when dropped.
#[derive(Debug)]
pub struct LogReader {
    buffers: Receiver<Bytes>,
    dropped: Arc<AtomicU64>,
}

impl LogTap {
    /// A reader of what is written from now on; `None` if there are as many as there may be.
    pub fn join(&self) -> Option<LogReader> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| !reader.buffers.is_closed());
        if readers.len() >= READERS {
            return None;
        }
        let (sender, buffers) = channel(BUFFERS);
        let dropped = Arc::new(AtomicU64::new(0));
        readers.push(Joined { buffers: sender, dropped: Arc::clone(&dropped) });
        self.count.store(readers.len(), Ordering::Relaxed);
        Some(LogReader { buffers, dropped })
    }

    /// Hands on a buffer of whole lines.
    pub(super) fn pass(&self, bytes: &[u8], lines: u64) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let buffer = Bytes::copy_from_slice(bytes);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| match reader.buffers.try_send(buffer.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                reader.dropped.fetch_add(lines, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
        self.count.store(readers.len(), Ordering::Relaxed);
    }

    /// Ends what readers get: there will be no more lines.
    pub(super) fn close(&self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl LogReader {
    /// The next buffer of whole lines; `None` when the log has ended.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.buffers.poll_recv(cx)
    }

    /// Lines that were dropped since the last call, because this reader was behind.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::noop_waker;

    fn next(reader: &mut LogReader) -> Option<Option<Bytes>> {
        match reader.poll_next(&mut Context::from_waker(&noop_waker())) {
            Poll::Ready(buffer) => Some(buffer),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_slow_reader_loses_lines_that_are_counted_and_delays_nobody() {
        let tap = LogTap::default();
        tap.pass(b"before\n", 1);
        let (mut slow, mut fast) = (tap.join().expect("room"), tap.join().expect("room"));
        for _ in 0..BUFFERS + 3 {
            tap.pass(b"a\nb\n", 2);
            assert_eq!(next(&mut fast), Some(Some(Bytes::from_static(b"a\nb\n"))));
        }
        assert_eq!((fast.take_dropped(), slow.take_dropped(), slow.take_dropped()), (0, 6, 0));
        for _ in 0..BUFFERS {
            assert!(next(&mut slow).is_some());
        }
        assert_eq!(next(&mut slow), None);
        tap.close();
        assert_eq!((next(&mut slow), next(&mut fast)), (Some(None), Some(None)));
    }

    #[test]
    fn readers_are_bounded_and_those_that_left_make_room() {
        let tap = LogTap::default();
        let mut readers: Vec<_> = (0..READERS).map(|_| tap.join().expect("room")).collect();
        assert!(tap.join().is_none());
        readers.pop();
        assert!(tap.join().is_some());
        readers.clear();
        tap.pass(b"a\n", 1);
        assert_eq!(tap.count.load(Ordering::Relaxed), 0);
    }
}
