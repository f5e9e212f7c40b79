//! A body on its way through a compressor, piece by piece.
//!
//! Compressing one slice takes a millisecond at most (brotli at quality 4: 65 MB/s, gzip at level 5: 45 MB/s,
//! measured): a body of one slice is compressed by the worker, the rest of a longer one by threads of its own.
//! Every 64 KiB the compressor is flushed, which bounds what it keeps and costs 0.4 % of the size.

use super::accepted::ContentCoding;
use super::codec::{Codec, Done, Then, Work};
use super::threads;
use crate::net::memory::{Account, HolderKind};
use crate::telemetry::StepCells;
use bytes::Bytes;
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::flate::params::FlateEncoderParams;
use compression_codecs::{BrotliEncoder, GzipEncoder};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The most that is compressed at once.
pub const SLICE: usize = 32 * 1024;

/// After so many bytes the compressor gives out what it keeps.
const FLUSHED: usize = 64 * 1024;

/// Brotli's quality: 5 has a third of the speed, and 22 MB and 20 ms for a table in small windows.
const BROTLI_QUALITY: i32 = 4;

/// The base-2 logarithm of brotli's window: 256 KiB.
const BROTLI_WINDOW: i32 = 18;

/// The base-2 logarithm of brotli's block, which it compresses at once: the smallest that it has.
const BROTLI_BLOCK: i32 = 16;

/// gzip's level: 6 takes half as long again for 1 %.
const GZIP_LEVEL: i32 = 5;

/// A compressor and what it holds.
#[derive(Debug)]
pub struct BodyEncoder {
    state: State,
    account: Arc<Account>,
    cells: Arc<StepCells>,
    /// Charged.
    held: usize,
    /// Bytes that came since the last flush.
    kept: usize,
    came: u64,
    went: u64,
}

/// Where the compressor is.
#[derive(Debug)]
enum State {
    Here(Codec),
    /// With another thread, which sends it back.
    Away(oneshot::Receiver<Done>),
    /// Here, with what has come out.
    Done(Done),
    /// It is not used any more.
    Lost,
}

/// What a compressor holds at most, in bytes: measured with these parameters.
fn held(coding: ContentCoding) -> usize {
    match coding {
        ContentCoding::Brotli => 2112 * 1024,
        ContentCoding::Gzip => 320 * 1024,
    }
}

impl BodyEncoder {
    /// A compressor at the cost of a client's connection; `None` if there is no room for it.
    pub(super) fn begin(
        coding: ContentCoding,
        account: &Arc<Account>,
        cells: &Arc<StepCells>,
    ) -> Option<Box<Self>> {
        let held = held(coding);
        if !account.has_room(held) {
            return None;
        }
        account.charge(HolderKind::Compressors, held);
        cells.compressed[coding as usize].add(1);
        let (account, cells) = (Arc::clone(account), Arc::clone(cells));
        let codec = match coding {
            ContentCoding::Brotli => Codec::Brotli(Box::new(BrotliEncoder::new(
                EncoderParams::default()
                    .quality(Level::Precise(BROTLI_QUALITY))
                    .window_size(BROTLI_WINDOW)
                    .block_size(BROTLI_BLOCK),
            ))),
            ContentCoding::Gzip => {
                Codec::Gzip(GzipEncoder::new(FlateEncoderParams::from(Level::Precise(GZIP_LEVEL))))
            }
        };
        let state = State::Here(codec);
        Some(Box::new(Self { state, account, cells, held, kept: 0, came: 0, went: 0 }))
    }

    /// The account that it is charged to.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether something of what came may still be in it.
    pub fn keeps(&self) -> bool {
        self.kept > 0
    }

    /// Begins to compress a slice of no more than [`SLICE`] bytes, or goes on without one, on another thread if much
    /// has come already. Before the next one [`Self::poll_output`] has to give out what becomes of it.
    pub fn begin_slice(&mut self, slice: Bytes, then: Then) {
        let is_long = self.came >= SLICE as u64;
        self.kept += slice.len();
        self.came += slice.len() as u64;
        let then = if self.kept >= FLUSHED { then.max(Then::Flush) } else { then };
        if then != Then::GoOn {
            self.kept = 0;
        }
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Here(codec) => {
                let work = Work { codec, slice, then };
                match is_long {
                    true => away(work),
                    false => State::Done(work.run()),
                }
            }
            other => other,
        };
    }

    /// Whether it compresses on another thread just now.
    pub fn is_away(&self) -> bool {
        matches!(self.state, State::Away(_))
    }

    /// What has come out, which may be nothing.
    ///
    /// # Errors
    /// If the compressor fails, which has no cause outside.
    pub fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let (codec, output) = match std::mem::replace(&mut self.state, State::Lost) {
            State::Away(mut done) => match Pin::new(&mut done).poll(cx) {
                Poll::Ready(done) => done.map_err(|_| io::Error::other("its thread has ended"))?,
                Poll::Pending => {
                    self.state = State::Away(done);
                    return Poll::Pending;
                }
            },
            State::Done(done) => done,
            State::Here(_) | State::Lost => {
                return Poll::Ready(Err(io::Error::other("it has no work")));
            }
        };
        self.state = State::Here(codec);
        self.went += output.as_ref().map_or(0, |output| output.len() as u64);
        Poll::Ready(output)
    }
}

/// Has another thread do it; this one if there is none.
fn away(work: Work) -> State {
    match threads::submit(work) {
        Ok(done) => State::Away(done),
        Err(work) => State::Done(work.run()),
    }
}

impl Drop for BodyEncoder {
    fn drop(&mut self) {
        self.account.release(HolderKind::Compressors, self.held);
        self.cells.compressed_from.add(self.came);
        self.cells.compressed_to.add(self.went);
    }
}

/// The part of a body that waits for the compressor, and its charge.
#[derive(Debug)]
pub struct Waiting {
    bytes: Bytes,
    account: Arc<Account>,
    held: usize,
}

impl Waiting {
    /// Nothing.
    pub fn none(account: &Arc<Account>) -> Self {
        Self { bytes: Bytes::new(), account: Arc::clone(account), held: 0 }
    }

    /// Takes a piece in the place of what was there.
    pub fn put(&mut self, bytes: Bytes) {
        self.account.charge(HolderKind::Bodies, bytes.len());
        self.account.release(HolderKind::Bodies, self.held);
        self.held = bytes.len();
        self.bytes = bytes;
    }

    /// The next slice, if anything is left.
    pub fn next_slice(&mut self) -> Option<Bytes> {
        if self.bytes.is_empty() {
            return None;
        }
        Some(self.bytes.split_to(self.bytes.len().min(SLICE)))
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.account.release(HolderKind::Bodies, self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Budget, Ledger};
    use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
    use std::io::Read;
    use std::task::Waker;
    use std::thread;

    fn account(limit: usize) -> Arc<Account> {
        Account::open(&Ledger::new(Budget::new(limit), Arc::default()))
    }

    /// Text that compresses, with nothing that repeats as a whole.
    fn text(bytes: usize) -> Vec<u8> {
        let words = (0_u64..).map(|n| format!("{} line {n}\n", n.wrapping_mul(0x9e37_79b9) % 9973));
        words.flat_map(String::into_bytes).take(bytes).collect()
    }

    /// What comes out, whichever thread does it.
    fn done(encoder: &mut BodyEncoder, slice: &[u8], then: Then) -> Vec<u8> {
        encoder.begin_slice(Bytes::copy_from_slice(slice), then);
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match encoder.poll_output(&mut cx) {
                Poll::Ready(output) => return output.expect("no cause"),
                Poll::Pending => thread::yield_now(),
            }
        }
    }

    fn decode(coding: ContentCoding, bytes: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        match coding {
            ContentCoding::Gzip => {
                flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut whole).expect("gzip");
            }
            ContentCoding::Brotli => {
                use compression_codecs::DecodeV2;
                let mut decoder = compression_codecs::BrotliDecoder::new();
                let mut input = PartialBuffer::new(bytes);
                loop {
                    let mut room = [0; 4096];
                    let mut output = WriteBuffer::new_initialized(&mut room);
                    let is_done = decoder.decode(&mut input, &mut output).expect("brotli");
                    let written = output.written_len();
                    whole.extend_from_slice(&room[..written]);
                    if is_done || (input.unwritten().is_empty() && written < room.len()) {
                        break;
                    }
                }
            }
        }
        whole
    }

    #[test]
    fn what_comes_out_is_what_came_whatever_the_slices() {
        let account = account(1 << 30);
        let text = text(300_000);
        for coding in [ContentCoding::Brotli, ContentCoding::Gzip] {
            for slice in [1000, SLICE] {
                let cells = Arc::default();
                let mut encoder = BodyEncoder::begin(coding, &account, &cells).expect("room");
                assert_eq!(account.held(), i64::try_from(held(coding)).expect("small"));
                let mut output = Vec::new();
                for slice in text.chunks(slice) {
                    output.extend(done(&mut encoder, slice, Then::GoOn));
                }
                output.extend(done(&mut encoder, &[], Then::Finish));
                assert!(output.len() < text.len() / 2, "{coding:?}: {}", output.len());
                assert!(decode(coding, &output) == text, "{coding:?} in slices of {slice}");
                drop(encoder);
                assert_eq!(account.held(), 0);
                assert_eq!(cells.compressed_from.total(), text.len() as u64);
                assert_eq!(cells.compressed_to.total(), output.len() as u64);
            }
        }
    }

    #[test]
    fn what_was_flushed_can_be_read_before_the_end() {
        for coding in [ContentCoding::Brotli, ContentCoding::Gzip] {
            let account = account(1 << 30);
            let mut encoder =
                BodyEncoder::begin(coding, &account, &Arc::default()).expect("there is room");
            let mut output = done(&mut encoder, b"the first event", Then::GoOn);
            assert!(encoder.keeps());
            output.extend(done(&mut encoder, &[], Then::Flush));
            assert!(!encoder.keeps());
            let read = match coding {
                ContentCoding::Brotli => decode(coding, &output),
                ContentCoding::Gzip => {
                    let mut read = [0; 15];
                    let mut decoder = flate2::read::GzDecoder::new(&*output);
                    decoder.read_exact(&mut read).expect("that much is there");
                    read.to_vec()
                }
            };
            assert_eq!(read, b"the first event", "{coding:?}");
        }
    }

    #[test]
    fn what_follows_the_first_slice_is_compressed_by_another_thread() {
        let account = account(1 << 30);
        for coding in [ContentCoding::Brotli, ContentCoding::Gzip] {
            let mut encoder = BodyEncoder::begin(coding, &account, &Arc::default()).expect("room");
            let slice = Bytes::from(text(SLICE));
            encoder.begin_slice(slice.clone(), Then::GoOn);
            assert!(!encoder.is_away(), "{coding:?}");
            let mut cx = Context::from_waker(Waker::noop());
            assert!(encoder.poll_output(&mut cx).is_ready());
            encoder.begin_slice(slice, Then::Flush);
            assert!(encoder.is_away(), "{coding:?}");
            // The client has left meanwhile.
            drop(encoder);
            assert_eq!(account.held(), 0);
        }
    }

    #[test]
    fn without_room_there_is_no_compressor() {
        let small = account(8 * 1024 * 1024);
        let cells = Arc::default();
        assert!(BodyEncoder::begin(ContentCoding::Brotli, &small, &cells).is_none());
        assert!(BodyEncoder::begin(ContentCoding::Gzip, &small, &cells).is_some());
    }

    #[test]
    fn what_waits_is_charged_until_it_is_compressed() {
        let account = account(1 << 30);
        let mut waiting = Waiting::none(&account);
        waiting.put(Bytes::from(vec![0; SLICE + 1]));
        assert_eq!(account.held(), SLICE as i64 + 1);
        assert_eq!(waiting.next_slice().map(|slice| slice.len()), Some(SLICE));
        assert_eq!(waiting.next_slice().map(|slice| slice.len()), Some(1));
        assert_eq!(waiting.next_slice(), None);
        waiting.put(Bytes::new());
        assert_eq!(account.held(), 0);
    }
}
