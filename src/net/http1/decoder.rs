//! A body as it is read, however it is framed (RFC 9112 section 6.3).

use super::{BadChunk, Chunked, Decoded};
use bytes::BytesMut;

/// What is left of a body.
#[derive(Debug)]
pub enum BodyDecoder {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// All until the connection ends.
    UntilClose,
}

impl BodyDecoder {
    /// Whether all of it has been decoded.
    pub fn is_ended(&self) -> bool {
        self.left() == Some(0)
    }

    /// How many bytes are still to come, if that is known.
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(chunked) => chunked.is_ended().then_some(0),
            Self::UntilClose => None,
        }
    }

    /// Takes what comes next from the bytes that were read. Of the data, as much as is there.
    ///
    /// # Errors
    /// The body breaks its own framing.
    pub fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, BadChunk> {
        Ok(match self {
            Self::Length(0) => Decoded::End,
            Self::Chunked(chunked) => {
                let decoded = chunked.decode(bytes)?;
                chunked.try_end(bytes);
                decoded
            }
            Self::Length(_) | Self::UntilClose if bytes.is_empty() => Decoded::More,
            Self::Length(left) => {
                let now = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= now as u64;
                Decoded::Data(bytes.split_to(now).freeze())
            }
            Self::UntilClose => Decoded::Data(bytes.split().freeze()),
        })
    }
}
