//! The access log: one JSON line per request, and per connection that is relayed, written by a thread of its own.
//!
//! A worker appends to its own buffer and hands it over when it is large or old enough. If the writer is
//! behind, the lines of the buffer are dropped and counted: a slow disk or a full pipe never delays a
//! request.

mod line;
mod tcp_line;

pub use line::{ConnectionText, Line, RouteText, protocol};
pub use tcp_line::TcpLine;

use super::writer::{Batch, LogCells, Message, Open, Report, Writer};
use crate::net::counters::LocalCounter;
use line::ClockText;
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// A buffer is handed over when it has this many bytes: some 300 lines, so that waking the writer
/// costs a request nothing worth naming.
const FLUSH_BYTES: usize = 128 * 1024;

/// Buffers on their way to the writer, for all workers: at most 8 MiB. What comes when they are
/// all full is dropped.
const QUEUED_BUFFERS: usize = 64;

/// The worker's end.
#[derive(Debug)]
pub struct AccessLog {
    buffer: RefCell<Batch>,
    clock: RefCell<ClockText>,
    full: SyncSender<Message>,
    cells: Arc<super::WorkerCells>,
}

impl AccessLog {
    /// Appends a line.
    pub fn write(&self, line: &Line<'_>) {
        let mut buffer = self.buffer.borrow_mut();
        if line.write(&mut buffer.bytes, &mut self.clock.borrow_mut()) {
            self.cells.log_truncated.add(1);
        }
        self.wrote(&mut buffer);
    }

    /// Appends the line of a connection that was relayed.
    pub fn write_tcp(&self, line: &TcpLine<'_>) {
        let mut buffer = self.buffer.borrow_mut();
        line.write(&mut buffer.bytes, &mut self.clock.borrow_mut());
        self.wrote(&mut buffer);
    }

    fn wrote(&self, buffer: &mut Batch) {
        buffer.lines += 1;
        if buffer.bytes.len() >= FLUSH_BYTES {
            self.hand_over(buffer);
        }
    }

    /// Hands over what there is. Called on every tick of the worker.
    pub fn flush(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if !buffer.bytes.is_empty() {
            self.hand_over(&mut buffer);
        }
    }

    fn hand_over(&self, buffer: &mut Batch) {
        // The next one will be about as full.
        let bytes = Vec::with_capacity(buffer.bytes.len() + 1024);
        let full = std::mem::replace(buffer, Batch { bytes, ..Batch::default() });
        let Err(refused) = self.full.try_send(Message::Lines(full)) else {
            return;
        };
        let (TrySendError::Full(lost) | TrySendError::Disconnected(lost)) = refused;
        if let Message::Lines(mut lost) = lost {
            self.dropped_lines().add(lost.lines);
            // Its memory at least stays usable.
            lost.bytes.clear();
            *buffer = Batch { lines: 0, ..lost };
        }
    }

    fn dropped_lines(&self) -> &LocalCounter {
        &self.cells.log_dropped
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        // Connections that are cut when the process leaves log their requests last.
        self.flush();
    }
}

/// The sender to the writer thread; each worker gets one [`AccessLog`] from it.
#[derive(Clone, Debug)]
pub struct Sink(SyncSender<Message>);

impl Sink {
    /// The access log of one worker, which counts dropped lines in `cells`.
    pub fn worker(&self, cells: Arc<super::WorkerCells>) -> AccessLog {
        AccessLog {
            buffer: RefCell::default(),
            clock: RefCell::default(),
            full: self.0.clone(),
            cells,
        }
    }
}

/// Where the lines go.
pub enum Output {
    /// Standard output.
    Stdout,
    /// The end of a file. Without a reader a FIFO takes nothing, as a file that is stuck.
    File(PathBuf),
    /// Anything else.
    Other(Box<dyn Write + Send>),
}

impl Output {
    /// Opens it now, so that mistakes are told at the start; a FIFO when the thread runs.
    fn open(self) -> io::Result<Open> {
        let output: Box<dyn Write + Send> = match self {
            // Without the buffer and the lock of `Stdout`, which the end of the process would wait for.
            Self::Stdout => Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            Self::File(path) if is_fifo(&path) => {
                return Ok(Box::new(move || Ok(Box::new(append(&path)?) as _)));
            }
            Self::File(path) => Box::new(append(&path)?),
            Self::Other(output) => output,
        };
        Ok(Box::new(|| Ok(output)))
    }
}

fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo())
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Starts the writer thread, which counts lost lines in `cells`. It ends, with everything written, when
/// every [`Sink`] and [`AccessLog`] is dropped: close the writer to wait for that.
///
/// # Errors
/// The output cannot be opened, or there is no thread.
pub fn start(output: Output, cells: Arc<LogCells>) -> io::Result<(Sink, Writer)> {
    let open = output.open()?;
    let (sender, receiver) = sync_channel(QUEUED_BUFFERS);
    let report = Report {
        failing: |error| tracing::warn!(%error, "the access log cannot be written"),
        works_again: |lost| tracing::warn!(lost, "the access log can be written again"),
    };
    let writer = Writer::start("access-log", receiver, open, cells, report)?;
    Ok((Sink(sender), writer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::addr::PeerAddr;
    use crate::telemetry::WorkerCells;
    use crate::telemetry::stuck::Stuck;
    use std::sync::Mutex;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn connection() -> ConnectionText {
        let peer = PeerAddr::new("192.0.2.1:5".parse().expect("literal"));
        ConnectionText::new(peer, None, "web")
    }

    fn line<'a>(path: &'a str, connection: &'a ConnectionText) -> Line<'a> {
        Line {
            time: Instant::now(),
            client: b"192.0.2.9",
            connection,
            route: None,
            endpoint: Some("10.0.0.1:80"),
            cf_ray: None,
            method: "GET",
            host: b"a.example",
            path,
            protocol: "HTTP/1.1",
            status: 200,
            reason: None,
            duration: Duration::from_micros(1),
            upstream: None,
            bytes_in: 0,
            bytes_out: 2,
            retries: 0,
            user: Some(b"ann@a.example"),
            user_agent: Some(b"a\"\\\n\x01\xffb"),
        }
    }

    #[test]
    fn lines_are_json_whatever_the_client_sent() {
        let (memory, cells) = (Memory::default(), Arc::new(WorkerCells::new(1)));
        let (sink, writer) =
            start(Output::Other(Box::new(memory.clone())), Arc::default()).expect("a thread");
        let log = sink.worker(Arc::clone(&cells));
        let connection = connection();
        log.clock.borrow_mut().set(Instant::now(), Duration::from_millis(1_700_000_000_078));
        log.write(&line("/a\u{7f}\u{2028}", &connection));
        log.flush();
        drop((log, sink));
        assert_eq!(writer.close(|| false), 0);
        let text =
            String::from_utf8(memory.0.lock().expect("not poisoned").clone()).expect("UTF-8");
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let expected = serde_json::json!({
            "time": value["time"],
            "client": "192.0.2.9",
            "peer": "192.0.2.1:5",
            "listener": "web",
            "endpoint": "10.0.0.1:80",
            "method": "GET",
            "host": "a.example",
            "path": "/a\u{7f}\u{2028}",
            "protocol": "HTTP/1.1",
            "user": "ann@a.example",
            "user_agent": "a\"\\\n\u{1}\u{fffd}b",
            "status": 200,
            "duration_us": 1,
            "bytes_in": 0,
            "bytes_out": 2,
            "retries": 0,
        });
        assert_eq!(value, expected);
        let time = value["time"].as_str().expect("text");
        assert!(time.starts_with("2023-11-14T22:13:20.") && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn a_stuck_writer_costs_lines_and_never_waits() {
        let (go, gate) = mpsc::channel();
        let cells = Arc::new(WorkerCells::new(1));
        let lost = Arc::new(LogCells::default());
        let output = Output::Other(Box::new(Stuck(gate)));
        let (sink, writer) = start(output, Arc::clone(&lost)).expect("a thread");
        let log = sink.worker(Arc::clone(&cells));
        let total = 2 * QUEUED_BUFFERS as u64;
        let connection = connection();
        for _ in 0..total {
            log.write(&line("/", &connection));
            log.flush();
        }
        let dropped = cells.log_dropped.total();
        // One buffer may be in the writer's hands beside the full queue.
        assert!((total - QUEUED_BUFFERS as u64 - 1..=total).contains(&dropped), "{dropped}");
        drop((log, sink));
        // Neither does the end of the process; what is left then is counted, too.
        let left = writer.close(|| true);
        assert_eq!((left, lost.failed.load(Ordering::Relaxed)), (total - dropped, total - dropped));
        drop(go);
    }
}
