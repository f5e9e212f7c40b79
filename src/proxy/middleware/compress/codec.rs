//! One compressor, and what it is asked to do next.

use bytes::Bytes;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder};
use std::io;

/// By how much the output grows at a time.
const STEP: usize = 4 * 1024;

/// A compressor.
#[derive(Debug)]
pub(super) enum Codec {
    Brotli(Box<BrotliEncoder>),
    Gzip(GzipEncoder),
}

/// What follows a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// The next one.
    GoOn,
    /// The compressor gives out whatever it keeps, so that the client can read all that came.
    Flush,
    /// The end of the body.
    Finish,
}

/// A slice to compress, which may be empty.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) codec: Codec,
    pub(super) slice: Bytes,
    pub(super) then: Then,
}

/// A compressor that can go on, and what has come out of it, which may be nothing.
pub(super) type Done = (Codec, io::Result<Vec<u8>>);

impl Work {
    /// Does it.
    pub(super) fn run(mut self) -> Done {
        let output = self.codec.encode(&self.slice, self.then);
        (self.codec, output)
    }
}

impl Codec {
    fn encoder(&mut self) -> &mut dyn EncodeV2 {
        match self {
            Self::Brotli(encoder) => &mut **encoder,
            Self::Gzip(encoder) => encoder,
        }
    }

    fn encode(&mut self, slice: &[u8], then: Then) -> io::Result<Vec<u8>> {
        let (encoder, mut output) = (self.encoder(), Vec::new());
        let mut input = PartialBuffer::new(slice);
        while !input.unwritten().is_empty() {
            write(&mut output, |output| encoder.encode(&mut input, output))?;
        }
        match then {
            Then::GoOn => {}
            Then::Flush => while !write(&mut output, |output| encoder.flush(output))? {},
            Then::Finish => while !write(&mut output, |output| encoder.finish(output))? {},
        }
        Ok(output)
    }
}

/// Lets `act` write behind what there is.
fn write<T>(
    output: &mut Vec<u8>,
    act: impl FnOnce(&mut WriteBuffer<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let start = output.len();
    output.resize(start + STEP, 0);
    let mut buffer = WriteBuffer::new_initialized(&mut output[start..]);
    let result = act(&mut buffer);
    let written = buffer.written_len();
    output.truncate(start + written);
    result
}
