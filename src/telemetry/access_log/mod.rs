//! The access log: one line per request, and per connection that is relayed, written by a thread of its own.
//!
//! A worker appends to its own buffer and hands it over when it is large or old enough. If the writer is
//! behind, the lines of the buffer are dropped and counted: a slow disk or a full pipe never delays a
//! request.

mod clf;
mod clock;
mod custom;
mod details;
mod filter;
mod host;
mod line;
mod object;
mod otel;
mod output;
mod tcp_line;
#[cfg(test)]
mod tests;
mod traefik;

pub use custom::Custom;
pub use details::{Details, More, RouteDetails, TlsFacts};
pub(in crate::telemetry) use host::split as split_host;
pub use line::{ConnectionText, Line, RouteText, protocol};
pub(in crate::telemetry) use otel::METHODS;
pub use output::Output;
pub use tcp_line::TcpLine;

use super::tap::LogTap;
use super::writer::{Batch, LogCells, Message, Report, Writer};
use crate::net::counters::LocalCounter;
use clf::ClfClock;
use clock::ClockText;
use custom::Out;
use std::cell::RefCell;
use std::io;
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
    /// What lines are, if they are not simply ravelin's own.
    custom: Option<Arc<Custom>>,
    clf: RefCell<ClfClock>,
}

impl AccessLog {
    /// What lines are, if they are not simply ravelin's own: then [`AccessLog::write_custom`] writes them.
    #[inline(always)]
    pub fn custom(&self) -> Option<&Arc<Custom>> {
        self.custom.as_ref()
    }

    /// Appends a line of another kind, unless it is filtered out.
    pub fn write_custom(&self, custom: &Custom, line: &Line<'_>, more: &More<'_>) {
        let route = more.labels.map(|labels| &*labels.route);
        if !custom.filter.keeps(line, route) {
            self.cells.log_filtered.add(1);
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        let clock = &mut self.clock.borrow_mut();
        let out = &mut Out { bytes: &mut buffer.bytes, clock, clf: &self.clf };
        if custom.write(line, more, out) {
            self.cells.log_truncated.add(1);
        }
        self.wrote(&mut buffer);
    }

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
        let clock = &mut self.clock.borrow_mut();
        match self.custom() {
            Some(custom) if !custom.has_connections() => return,
            Some(custom) if custom.is_otel() => otel::write_tcp(line, &mut buffer.bytes, clock),
            _ => line.write(&mut buffer.bytes, clock),
        }
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
pub struct Sink {
    sender: SyncSender<Message>,
    custom: Option<Arc<Custom>>,
    tap: Arc<LogTap>,
}

impl Sink {
    /// Where readers join who follow the log.
    pub fn tap(&self) -> &Arc<LogTap> {
        &self.tap
    }

    /// The access log of one worker, which counts dropped lines in `cells`.
    pub fn worker(&self, cells: Arc<super::WorkerCells>) -> AccessLog {
        AccessLog {
            buffer: RefCell::default(),
            clock: RefCell::default(),
            full: self.sender.clone(),
            cells,
            custom: self.custom.clone(),
            clf: RefCell::default(),
        }
    }
}

/// Starts the writer thread, which counts lost lines in `cells`. `custom`: what lines are, if not ravelin's own. It ends, with everything written, when
/// every [`Sink`] and [`AccessLog`] is dropped: close the writer to wait for that.
///
/// # Errors
/// The output cannot be opened, or there is no thread.
pub fn start(
    output: Output,
    cells: Arc<LogCells>,
    custom: Option<Arc<Custom>>,
) -> io::Result<(Sink, Writer)> {
    let open = output.open()?;
    let (sender, receiver) = sync_channel(QUEUED_BUFFERS);
    let report = Report {
        failing: |error| tracing::warn!(%error, "the access log cannot be written"),
        works_again: |lost| tracing::warn!(lost, "the access log can be written again"),
    };
    let tap = Arc::<LogTap>::default();
    let writer =
        Writer::start("access-log", receiver, open, cells, report, Some(Arc::clone(&tap)))?;
    Ok((Sink { sender, custom, tap }, writer))
}
