//! One JSON line for each request, written by a thread of its own.
//!
//! A worker appends to a buffer in its own memory and hands it over when it is large enough or old
//! enough. If the writer is behind, the buffer's lines are dropped and counted: a slow disk or a
//! full pipe never slows a request.

mod line;

pub use line::{ConnectionText, Line, RouteText};

use super::cells::Count;
use line::ClockText;
use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// A buffer is handed over when it has this many bytes: some 300 lines, so that waking the writer
/// costs a request nothing worth naming.
const FLUSH_BYTES: usize = 128 * 1024;

/// Buffers on their way to the writer, for all workers: 8 MiB at the most. What comes when they are
/// all full is dropped.
const QUEUED_BUFFERS: usize = 64;

/// The worker's end.
#[derive(Debug)]
pub struct AccessLog {
    buffer: RefCell<Buffer>,
    clock: RefCell<ClockText>,
    full: SyncSender<Buffer>,
    dropped: Arc<super::WorkerCells>,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
}

impl AccessLog {
    /// Appends a line.
    pub fn write(&self, line: &Line<'_>) {
        let mut buffer = self.buffer.borrow_mut();
        line.write(&mut buffer.bytes, &mut self.clock.borrow_mut());
        buffer.lines += 1;
        if buffer.bytes.len() >= FLUSH_BYTES {
            self.hand_over(&mut buffer);
        }
    }

    /// Hands over what there is. Called on every tick of the worker.
    pub fn flush(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if !buffer.bytes.is_empty() {
            self.hand_over(&mut buffer);
        }
    }

    fn hand_over(&self, buffer: &mut Buffer) {
        // The next one will be about as full.
        let bytes = Vec::with_capacity(buffer.bytes.len() + 1024);
        let empty = Buffer { bytes, lines: 0 };
        if let Err(refused) = self.full.try_send(std::mem::replace(buffer, empty)) {
            let (TrySendError::Full(lost) | TrySendError::Disconnected(lost)) = refused;
            self.dropped_lines().add(lost.lines);
            // Its memory at least serves on.
            *buffer = Buffer { bytes: lost.bytes, lines: 0 };
            buffer.bytes.clear();
        }
    }

    fn dropped_lines(&self) -> &Count {
        &self.dropped.log_dropped
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        // Connections that are cut when the process leaves log their requests last.
        self.flush();
    }
}

/// The way into the writer thread; one [`AccessLog`] is made of it for each worker.
#[derive(Clone, Debug)]
pub struct Sink(SyncSender<Buffer>);

impl Sink {
    /// The end of one worker, which counts what it drops in `cells`.
    pub fn worker(&self, cells: Arc<super::WorkerCells>) -> AccessLog {
        AccessLog {
            buffer: RefCell::default(),
            clock: RefCell::default(),
            full: self.0.clone(),
            dropped: cells,
        }
    }
}

/// Starts the writer thread. It ends, with everything written, when every [`Sink`] and
/// [`AccessLog`] is gone: join the handle to wait for that.
pub fn start(
    output: Box<dyn Write + Send>,
) -> std::io::Result<(Sink, std::thread::JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(QUEUED_BUFFERS);
    let writer = std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || write_all(&receiver, output))?;
    Ok((Sink(sender), writer))
}

fn write_all(full: &Receiver<Buffer>, mut output: Box<dyn Write + Send>) {
    let mut failing = false;
    while let Ok(buffer) = full.recv() {
        let result = output.write_all(&buffer.bytes).and_then(|()| output.flush());
        // Once for each spell of failures: the log of the process may go the same way.
        match (result, failing) {
            (Err(error), false) => {
                tracing::warn!(%error, "access log cannot be written");
                failing = true;
            }
            (Ok(()), _) => failing = false,
            (Err(_), true) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::PeerAddr;
    use crate::telemetry::WorkerCells;
    use std::sync::Mutex;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
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
            user_agent: Some(b"a\"\\\n\x01\xffb"),
        }
    }

    #[test]
    fn lines_are_json_whatever_the_client_sent() {
        let (memory, cells) = (Memory::default(), Arc::new(WorkerCells::new(1)));
        let (sink, writer) = start(Box::new(memory.clone())).expect("a thread");
        let log = sink.worker(Arc::clone(&cells));
        let connection = connection();
        log.clock.borrow_mut().set(Instant::now(), Duration::from_millis(1_700_000_000_078));
        log.write(&line("/a\u{7f}\u{2028}", &connection));
        log.flush();
        drop((log, sink));
        writer.join().expect("no panic");
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

    /// Blocks in its first write until told to go on.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_writer_costs_lines_and_never_waits() {
        let (go, gate) = mpsc::channel();
        let cells = Arc::new(WorkerCells::new(1));
        let (sink, writer) = start(Box::new(Stuck(gate))).expect("a thread");
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
        drop((log, sink, go));
        writer.join().expect("no panic");
    }
}
