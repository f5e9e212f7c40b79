//! The process log: events of the process, not of single requests. JSON lines on standard error, written
//! by a thread of its own, so that logging never waits for the reader of standard error.

mod line;

use super::writer::{Batch, Charge, LogCells, Message, Report, Writer};
use line::Line;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

/// Lines on their way to the writer, in bytes: the findings of a cluster with 10 000 wrong Ingresses.
/// What comes when they take that much is dropped.
const QUEUED_BYTES: usize = 4 * 1024 * 1024;

/// There is one log in a process, whatever is started and reloaded in it.
static CELLS: LazyLock<Arc<LogCells>> = LazyLock::new(Arc::default);

/// Counts of lines that were not written, or not whole.
pub(super) fn cells() -> &'static LogCells {
    &CELLS
}

/// The log. Dropping it waits for the last lines, for at most two seconds; what is logged after that
/// is lost.
#[derive(Debug)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    writer: Option<(Sender<Message>, Writer)>,
}

impl Log {
    /// Writes events of this level and more severe ones from now on.
    pub fn set(&self, level: LevelFilter) {
        // The only error is that the log is gone, or another one is installed: nothing to be changed.
        let _ = self.level.reload(level);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some((sender, writer)) = self.writer.take() {
            let _ = sender.send(Message::End);
            writer.close(|| false);
        }
    }
}

/// Installs the log with this level. A second call in one process (a test) changes nothing.
///
/// # Errors
/// The system has no thread or file left.
pub fn init(level: LevelFilter) -> io::Result<Log> {
    let (filter, level) = reload::Layer::new(level);
    // Without the lock of `Stderr`.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let (lines, writer) = start(Box::new(stderr), Arc::clone(&CELLS))?;
    let sender = lines.sender.clone();
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    // The only error is that a subscriber is there already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(panicked));
    Ok(Log { level, writer: Some((sender, writer)) })
}

/// The standard hook writes to standard error itself, and waits for that.
fn panicked(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or_default();
    let payload = info.payload();
    let cause = payload.downcast_ref::<String>().map(String::as_str);
    let cause = cause.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, cause, at, %backtrace, "a thread panicked");
    } else {
        tracing::error!(thread, cause, at, "a thread panicked");
    }
}

fn start(output: Box<dyn Write + Send>, cells: Arc<LogCells>) -> io::Result<(Lines, Writer)> {
    let (sender, receiver) = channel();
    let report = Report {
        // It would go the same way.
        failing: |_| {},
        works_again: |lost| tracing::warn!(lost, "the process log can be written again"),
    };
    let open = Box::new(|| Ok(output));
    let writer = Writer::start("process-log", receiver, open, Arc::clone(&cells), report, None)?;
    Ok((Lines { sender, queued: Arc::default(), cells }, writer))
}

/// Makes a line of each event.
struct Lines {
    sender: Sender<Message>,
    /// Bytes on their way to the writer.
    queued: Arc<AtomicUsize>,
    cells: Arc<LogCells>,
}

impl Lines {
    fn send(&self, bytes: Vec<u8>) {
        let Some(charge) = Charge::take(&self.queued, bytes.len(), QUEUED_BYTES) else {
            self.cells.behind.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let batch = Batch { bytes, lines: 1, _charge: Some(charge) };
        if self.sender.send(Message::Lines(batch)).is_err() {
            self.cells.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::begin(event.metadata());
        event.record(&mut line);
        let (bytes, truncated) = line.end(event.metadata());
        if truncated {
            self.cells.truncated.fetch_add(1, Ordering::Relaxed);
        }
        self.send(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::stuck::Stuck;

    #[test]
    fn a_stuck_sink_costs_lines_and_bounded_memory_and_nobody_waits() {
        let (go, gate) = channel();
        let cells = Arc::new(LogCells::default());
        let (lines, writer) = start(Box::new(Stuck(gate)), Arc::clone(&cells)).expect("a thread");
        let queued = Arc::clone(&lines.queued);
        let sender = lines.sender.clone();
        let text = "x".repeat(line::FIELD_BYTES);
        let total = 4 * QUEUED_BYTES / text.len();
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..total {
                tracing::info!(text, "said");
            }
        });
        assert!(queued.load(Ordering::Relaxed) <= QUEUED_BYTES);
        let behind = cells.behind.load(Ordering::Relaxed);
        assert!(behind > 0);
        drop(sender);
        let left = writer.close(|| true);
        assert_eq!(left + behind, total as u64);
        assert_eq!(cells.failed.load(Ordering::Relaxed), left);
        drop(go);
    }
}
