//! A thread that writes lines, so that workers never wait: a pipe without a reader, a full
//! disk or a hung file system stops this thread alone. What it cannot write is counted.

use super::tap::LogTap;
use std::convert::Infallible;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the end of a process waits for its last lines: a disk that works takes milliseconds, and
/// the sender of the signal waits as well.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The same once the process was told twice to end.
const LAST_LINES_IN_HASTE: Duration = Duration::from_millis(200);

/// How often that wait looks whether there is haste.
const LOOK: Duration = Duration::from_millis(20);

/// How often a sink without lines is looked after: a file that was renamed is to be there again soon.
const IDLE: Duration = Duration::from_secs(1);

/// How long a sink that would block is left alone, where its writes do not wait (`O_NONBLOCK`).
const BLOCKED: Duration = Duration::from_millis(10);

/// Lines that were not written, or not whole. Written by any thread, now and then.
#[derive(Debug, Default)]
pub struct LogCells {
    /// Dropped because the writer was behind.
    pub(super) behind: AtomicU64,
    /// Lost because the sink failed, or was stuck when the process left.
    pub(super) failed: AtomicU64,
    /// Written with a field that was cut.
    pub(super) truncated: AtomicU64,
}

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    /// Its charge of a budget, released on drop.
    pub(super) _charge: Option<Charge>,
}

/// Bytes of a budget.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: usize,
    used: Arc<AtomicUsize>,
}

impl Charge {
    /// Takes `bytes` of what `most` leaves of the budget.
    pub(super) fn take(used: &Arc<AtomicUsize>, bytes: usize, most: usize) -> Option<Self> {
        let charge = Self { bytes, used: Arc::clone(used) };
        // Dropping it gives back what did not fit.
        (used.fetch_add(bytes, Ordering::Relaxed) + bytes <= most).then_some(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Messages to a writer. It also ends when no sender is left.
#[derive(Debug)]
pub(super) enum Message {
    Lines(Batch),
    End,
}

/// Opens a sink. Called on the writer's thread: opening a FIFO waits for its reader. It is flushed before each
/// batch, and once a second without one.
pub(super) type Open = Box<dyn FnOnce() -> io::Result<Box<dyn Write + Send>> + Send>;

/// Reports failures: once for each spell of them.
pub(super) struct Report {
    pub(super) failing: fn(&io::Error),
    /// With the lines that were lost since the last time.
    pub(super) works_again: fn(u64),
}

/// The thread.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
    shared: Arc<Shared>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<Infallible>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Receiver<Message>>,
    /// Lines that are being written.
    in_hand: AtomicU64,
    cells: Arc<LogCells>,
}

impl Writer {
    pub(super) fn start(
        name: &str,
        queue: Receiver<Message>,
        open: Open,
        cells: Arc<LogCells>,
        report: Report,
        tap: Option<Arc<LogTap>>,
    ) -> io::Result<Self> {
        let queue = Mutex::new(queue);
        let shared = Arc::new(Shared { queue, in_hand: AtomicU64::new(0), cells });
        let (alive, ended) = channel();
        let writing = Arc::clone(&shared);
        let run = move || {
            write_all(&writing, open, &report, tap.as_deref(), &alive);
            if let Some(tap) = tap {
                tap.close();
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { thread, shared, ended: Mutex::new(ended) })
    }

    /// Waits until everything is written: for two seconds, or hardly any time once `hasty` returns true.
    /// Returns how many lines were lost because the sink was stuck; the thread, which cannot be woken, is
    /// abandoned.
    pub fn close(self, mut hasty: impl FnMut() -> bool) -> u64 {
        let begun = Instant::now();
        let ended = self.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Err(RecvTimeoutError::Disconnected) = ended.recv_timeout(LOOK) {
                let _ = self.thread.join();
                return 0;
            }
            let limit = if hasty() { LAST_LINES_IN_HASTE } else { LAST_LINES };
            if begun.elapsed() >= limit {
                return self.shared.abandon();
            }
        }
    }
}

impl Shared {
    /// The next lines; none at all for a second is an empty batch. `None` at the end.
    fn receive(&self) -> Option<Batch> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.recv_timeout(IDLE) {
            Ok(Message::Lines(batch)) => Some(batch),
            Err(RecvTimeoutError::Timeout) => Some(Batch::default()),
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Counts what is left as lost, and frees it.
    fn abandon(&self) -> u64 {
        let mut lost = self.in_hand.load(Ordering::Relaxed);
        match self.queue.try_lock() {
            Ok(queue) => {
                for message in queue.try_iter() {
                    if let Message::Lines(batch) = message {
                        lost += batch.lines;
                    }
                }
            }
            // The thread waits for lines: there are none.
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => {}
        }
        self.cells.failed.fetch_add(lost, Ordering::Relaxed);
        lost
    }
}

fn write_all(
    shared: &Shared,
    open: Open,
    report: &Report,
    tap: Option<&LogTap>,
    _alive: &Sender<Infallible>,
) {
    let mut output = open().map(Lines::new);
    if let Err(error) = &output {
        (report.failing)(error);
    }
    let (mut failing, mut lost) = (output.is_err(), 0);
    while let Some(batch) = shared.receive() {
        // Whatever becomes of the sink.
        if let Some(tap) = tap.filter(|_| batch.lines > 0) {
            tap.pass(&batch.bytes, batch.lines);
        }
        let Ok(output) = &mut output else {
            shared.cells.failed.fetch_add(batch.lines, Ordering::Relaxed);
            continue;
        };
        shared.in_hand.store(batch.lines, Ordering::Relaxed);
        // Between lines: a file may be another one by now. What fails here fails again below.
        let _ = output.output.flush();
        if batch.bytes.is_empty() {
            continue;
        }
        let result = output.write(&batch.bytes);
        shared.in_hand.store(0, Ordering::Relaxed);
        match result {
            Ok(()) if failing => {
                failing = false;
                (report.works_again)(std::mem::take(&mut lost));
            }
            Ok(()) => {}
            Err(unwritten) => {
                shared.cells.failed.fetch_add(unwritten.lines, Ordering::Relaxed);
                lost += unwritten.lines;
                if !std::mem::replace(&mut failing, true) {
                    (report.failing)(&unwritten.error);
                }
            }
        }
    }
}

/// A sink of lines.
struct Lines<W> {
    output: W,
    /// The last line was not written to its end.
    broken: bool,
}

/// Lines that a sink did not take.
struct Unwritten {
    error: io::Error,
    lines: u64,
}

impl<W: Write> Lines<W> {
    fn new(output: W) -> Self {
        Self { output, broken: false }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        if self.broken {
            // A reader loses the broken line, and not the next one as well.
            self.write_from(b"\n").map_err(|(_, error)| Unwritten::of(bytes, error))?;
            self.broken = false;
        }
        self.write_from(bytes).map_err(|(written, error)| {
            let (done, rest) = bytes.split_at_checked(written).unwrap_or((bytes, &[]));
            self.broken = done.last().is_some_and(|&last| last != b'\n');
            Unwritten::of(rest, error)
        })
    }

    /// Writes all, or fails with how much of it was written.
    fn write_from(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.output.write(rest) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody who shares the pipe has made it so.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::park_timeout(BLOCKED);
                }
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

impl Unwritten {
    fn of(rest: &[u8], error: io::Error) -> Self {
        let lines = rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Self { error, lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and fails then, until it is given more.
    struct Disk {
        room: usize,
        held: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.held.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_the_lines_that_did_not_fit_and_breaks_no_other() {
        let mut lines = Lines::new(Disk { room: 5, held: Vec::new() });
        let lost = lines.write(b"one\ntwo\nthree\n").expect_err("no room");
        assert_eq!((lost.lines, lost.error.kind()), (2, ErrorKind::StorageFull));
        let lost = lines.write(b"four\n").expect_err("no room");
        assert_eq!(lost.lines, 1);
        lines.output.room = 100;
        assert!(lines.write(b"five\n").is_ok());
        assert_eq!(lines.output.held, b"one\nt\nfive\n");
    }

    #[test]
    fn a_budget_is_given_back() {
        let used = Arc::default();
        let first = Charge::take(&used, 6, 10).expect("room");
        assert!(Charge::take(&used, 5, 10).is_none());
        drop(first);
        assert!(Charge::take(&used, 5, 10).is_some());
        assert_eq!(used.load(Ordering::Relaxed), 0);
    }
}
