//! The page of metrics, made as fast as it is read.
//!
//! A thread of its own encodes it, with a low priority, and hands it over in pieces: a page of thousands
//! of routes neither is in memory as a whole nor keeps anybody waiting, and a reader that hangs holds some
//! pieces until its time is over.

use super::Telemetry;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body, Frame};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// Bytes of a piece: what a connection over loopback takes at once.
const PIECE: usize = 32 * 1024;

/// Pieces that wait for their reader.
const PIECES: usize = 4;

/// How long a scrape may take. Prometheus gives up after 10 s unless told otherwise.
const LONGEST: Duration = Duration::from_secs(30);

/// Above the 0 of those who serve requests: where a core is missing, it is missing here.
const NICENESS: i32 = 10;

/// A page that is being sent to its reader.
#[derive(Debug)]
pub struct Page {
    pieces: Receiver<Piece>,
    /// The thread that waits.
    thread: Thread,
    ended: bool,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// The page is whole.
    End,
}

/// The page ended before its end: it could not be encoded, or its reader took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metrics page is truncated")]
pub struct BrokenOff;

/// What a page has.
#[derive(Clone, Debug)]
pub struct Scraped {
    /// The families.
    pub registry: Arc<Registry>,
    /// What writes the families with exemplars that are not among them, if there are any.
    pub exemplars: Option<Arc<Telemetry>>,
}

/// Starts a page, compressed with gzip or not.
///
/// # Errors
/// The system has no thread left.
pub fn scrape(scraped: Scraped, gzip: bool) -> io::Result<Page> {
    begin(scraped, gzip, LONGEST)
}

fn begin(scraped: Scraped, gzip: bool, limit: Duration) -> io::Result<Page> {
    let (sender, pieces) = channel(PIECES);
    let until = Instant::now() + limit;
    let encoding = thread::Builder::new().name("scrape".to_owned()).spawn(move || {
        // Of this thread alone (setpriority(2), C library/kernel differences). Without it the page is
        // made anyway.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        let output = Pieces { sender, until, filled: Vec::with_capacity(PIECE) };
        // Without its end the reader knows that it is not whole.
        let _ = encode(&scraped, gzip, output);
    })?;
    Ok(Page { pieces, thread: encoding.thread().clone(), ended: false })
}

fn encode(scraped: &Scraped, gzip: bool, mut output: Pieces) -> io::Result<()> {
    if gzip {
        // The fastest: 4 % of the size.
        let mut encoder = GzEncoder::new(output, Compression::fast());
        encode_text(scraped, &mut encoder)?;
        output = encoder.finish()?;
    } else {
        encode_text(scraped, &mut output)?;
    }
    output.end()
}

fn encode_text(scraped: &Scraped, output: &mut impl Write) -> io::Result<()> {
    let mut text = Text(io::BufWriter::with_capacity(PIECE, output));
    text::encode_registry(&mut text, &scraped.registry).map_err(io::Error::other)?;
    if let Some(telemetry) = &scraped.exemplars {
        telemetry.encode_exemplars(&mut text).map_err(io::Error::other)?;
    }
    text::encode_eof(&mut text).map_err(io::Error::other)?;
    text.0.flush()
}

/// Text into bytes.
struct Text<W: Write>(io::BufWriter<W>);

impl<W: Write> fmt::Write for Text<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Bytes into pieces.
struct Pieces {
    sender: Sender<Piece>,
    until: Instant,
    filled: Vec<u8>,
}

impl Pieces {
    fn send(&self, mut piece: Piece) -> io::Result<()> {
        loop {
            piece = match self.sender.try_send(piece) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(piece)) => piece,
                Err(TrySendError::Closed(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // The reader wakes it.
            thread::park_timeout(left);
        }
    }

    fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::End)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.filled.len());
        self.filled.extend_from_slice(&bytes[..taken]);
        if self.filled.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filled.is_empty() {
            return Ok(());
        }
        let filled = std::mem::replace(&mut self.filled, Vec::with_capacity(PIECE));
        self.send(Piece::Bytes(filled.into()))
    }
}

impl Body for Page {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.pieces.poll_recv(cx);
        if polled.is_ready() {
            self.thread.unpark();
        }
        polled.map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                Some(Err(BrokenOff))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.pieces.close();
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use prometheus_client::metrics::gauge::ConstGauge;
    use prometheus_client::registry::Unit;
    use std::io::Read;
    use tokio::runtime::Builder;

    /// More than the pieces that may wait.
    fn registry() -> Arc<Registry> {
        let mut registry = Registry::default();
        for number in 0..20_000_i64 {
            let name = format!("number_{number}");
            registry.register_with_unit(name, "A number", Unit::Seconds, ConstGauge::new(number));
        }
        Arc::new(registry)
    }

    fn of(registry: &Arc<Registry>) -> Scraped {
        Scraped { registry: Arc::clone(registry), exemplars: None }
    }

    fn expected(registry: &Registry) -> String {
        let mut page = String::new();
        text::encode(&mut page, registry).expect("it is encoded");
        page
    }

    fn read(page: Page) -> Result<Bytes, BrokenOff> {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(page.collect()).map(http_body_util::Collected::to_bytes)
    }

    #[test]
    fn a_page_is_whole_plain_and_compressed() {
        let registry = registry();
        let expected = expected(&registry);
        assert!(expected.len() > 2 * PIECE * PIECES, "{}", expected.len());
        let page = scrape(of(&registry), false).expect("a thread");
        assert_eq!(read(page), Ok(Bytes::from(expected.clone())));
        let page = scrape(of(&registry), true).expect("a thread");
        let bytes = read(page).expect("it is whole");
        assert!(bytes.len() < expected.len() / 5, "{}", bytes.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).expect("gzip");
        assert_eq!(text, expected);
    }

    /// Waits until all encoders have ended.
    fn await_end(registry: &Arc<Registry>) {
        let begun = Instant::now();
        while Arc::strong_count(registry) > 1 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the work never ends");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_reader_that_hangs_holds_few_pieces_until_its_time_is_over() {
        let registry = registry();
        let page = begin(of(&registry), false, Duration::from_millis(50));
        let page = page.expect("a thread");
        await_end(&registry);
        assert_eq!(page.pieces.len(), PIECES);
        assert_eq!(read(page), Err(BrokenOff), "it is not taken for whole");
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_work() {
        let registry = registry();
        drop(begin(of(&registry), true, Duration::from_secs(600)).expect("a thread"));
        await_end(&registry);
    }
}
