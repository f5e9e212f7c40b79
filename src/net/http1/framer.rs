//! A body as it is written, however it is framed.

use super::MessageOutput;
use crate::net::fields::TrailerMap;
use bytes::Buf;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};

/// How a body is framed (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// So many bytes are to come.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Until the connection ends: responses in version 1.0.
    UntilClose,
}

/// How far a body is in the output.
#[derive(Debug)]
pub struct BodyFramer {
    framing: BodyFraming,
    is_ended: bool,
}

/// How much of a body is in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// What there is so far.
    SoFar,
    /// As much as one send takes; there may be more.
    Enough,
    /// All that was still to come.
    All,
}

/// A body broke off, or is not of the length that its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBody;

impl BodyFramer {
    /// Of which nothing is in the output yet.
    pub fn begin(framing: BodyFraming) -> Self {
        Self { framing, is_ended: framing == BodyFraming::Length(0) }
    }

    /// How it is framed; of a length what is still to come.
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// Whether the body has come to its end, and all that follows it is in the output.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Puts what there is of the body into the output, as far as one send takes it.
    ///
    /// # Errors
    /// The body broke off, or is of another length.
    pub fn gather<B: Body + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut B,
        output: &mut MessageOutput<B::Data>,
    ) -> Result<Gathered, BrokenBody> {
        while !self.is_ended {
            if !output.takes_more() {
                return Ok(Gathered::Enough);
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(Gathered::SoFar),
                Poll::Ready(Some(Ok(frame))) => self.push(frame, output)?,
                Poll::Ready(Some(Err(_))) => return Err(BrokenBody),
                Poll::Ready(None) => self.end(None, output)?,
            }
        }
        Ok(Gathered::All)
    }

    fn push<P: Buf>(
        &mut self,
        frame: Frame<P>,
        output: &mut MessageOutput<P>,
    ) -> Result<(), BrokenBody> {
        let piece = match frame.into_data() {
            Ok(piece) => piece,
            Err(frame) => return self.end(frame.into_trailers().ok().as_ref(), output),
        };
        match &mut self.framing {
            // A chunk of no bytes would be the last.
            _ if !piece.has_remaining() => {}
            BodyFraming::Length(left) => {
                *left = left.checked_sub(piece.remaining() as u64).ok_or(BrokenBody)?;
                self.is_ended = *left == 0;
                output.push(piece);
            }
            BodyFraming::Chunked => output.push_chunk(piece),
            BodyFraming::UntilClose => output.push(piece),
        }
        Ok(())
    }

    /// Puts the end of the body behind it.
    fn end<P: Buf>(
        &mut self,
        trailers: Option<&TrailerMap>,
        output: &mut MessageOutput<P>,
    ) -> Result<(), BrokenBody> {
        self.is_ended = true;
        match self.framing {
            BodyFraming::Length(0) | BodyFraming::UntilClose => {}
            BodyFraming::Length(_) => return Err(BrokenBody),
            BodyFraming::Chunked => output.push_last_chunk(trailers),
        }
        Ok(())
    }
}
