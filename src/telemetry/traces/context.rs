//! The ids of a trace and of its spans, and their text.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// The id of a trace: 16 bytes, not all zero (W3C Trace Context, section 3.2.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// The id of a span: 8 bytes, not all zero (section 3.2.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

/// Both, of a request that is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceIds {
    /// The trace.
    pub trace_id: TraceId,
    /// The span of the request.
    pub span_id: SpanId,
}

impl TraceId {
    /// Of two random numbers.
    pub(super) fn of(high: u64, low: u64) -> Self {
        let number = u128::from(high) << 64 | u128::from(low);
        Self(NonZeroU128::new(number).unwrap_or(NonZeroU128::MIN))
    }

    /// Reads 32 digits, or 16 as B3 has them too: those are the lower half.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let number = match text.len() {
            32 => {
                let (high, low) = text.split_at(16);
                u128::from(digits(high)?) << 64 | u128::from(digits(low)?)
            }
            16 => u128::from(digits(text)?),
            _ => return None,
        };
        NonZeroU128::new(number).map(Self)
    }

    /// In 32 digits.
    pub fn text(self) -> [u8; 32] {
        let bytes = self.bytes();
        let mut text = [0; 32];
        for (pair, eight) in text.chunks_exact_mut(8).zip(bytes.chunks_exact(4)) {
            pair.copy_from_slice(&eight_digits(eight));
        }
        text
    }

    /// Big endian, as OTLP has it.
    pub(super) fn bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }
}

impl SpanId {
    /// Of a random number.
    pub(super) fn of(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// Reads 16 digits.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let number = (text.len() == 16).then(|| digits(text))??;
        NonZeroU64::new(number).map(Self)
    }

    /// In 16 digits.
    pub fn text(self) -> [u8; 16] {
        let bytes = self.bytes();
        let mut text = [0; 16];
        for (pair, eight) in text.chunks_exact_mut(8).zip(bytes.chunks_exact(4)) {
            pair.copy_from_slice(&eight_digits(eight));
        }
        text
    }

    /// Big endian, as OTLP has it.
    pub(super) fn bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Up to 16 hexadecimal digits in lower case, the only ones that W3C Trace Context allows.
fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |number, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

/// The eight digits of four bytes, computed side by side: this is done for every request.
#[inline(always)]
fn eight_digits(bytes: &[u8]) -> [u8; 8] {
    let number = bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    // One digit to each byte, from the highest on.
    let spread = (number & 0xffff_0000) << 16 | number & 0xffff;
    let spread = (spread & 0x0000_ff00_0000_ff00) << 8 | spread & 0x0000_00ff_0000_00ff;
    let spread = (spread & 0x00f0_00f0_00f0_00f0) << 4 | spread & 0x000f_000f_000f_000f;
    // 1 in each byte with a letter.
    let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    let text = spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10);
    text.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_and_read_digit_by_digit() {
        for number in [1, 0x0123_4567_89ab_cdef, u64::MAX, 0xf0e1_d2c3_b4a5_9687] {
            let id = SpanId::of(number);
            assert_eq!(id.text(), *format!("{number:016x}").as_bytes());
            assert_eq!(SpanId::read(&id.text()), Some(id));
            let id = TraceId::of(number, !number);
            assert_eq!(id.text(), *format!("{number:016x}{:016x}", !number).as_bytes());
            assert_eq!(TraceId::read(&id.text()), Some(id));
            assert_eq!((id.to_string().as_bytes(), id.bytes().len()), (&id.text()[..], 16));
        }
        let short = TraceId::read(b"463ac35c9f6413ad").expect("of 64 bits");
        assert_eq!(short.to_string(), "0000000000000000463ac35c9f6413ad");
    }

    #[test]
    fn zeros_capitals_and_other_lengths_are_no_ids() {
        assert_eq!(TraceId::read(&[b'0'; 32]), None);
        assert_eq!(SpanId::read(&[b'0'; 16]), None);
        for wrong in ["", "1", "463AC35C9F6413AD", "463ac35c9f6413a", "463ac35c9f6413a+"] {
            assert_eq!(SpanId::read(wrong.as_bytes()), None, "{wrong}");
            assert_eq!(TraceId::read(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(TraceId::of(0, 0).to_string(), format!("{:032x}", 1));
        assert_eq!(SpanId::of(0).to_string(), "0000000000000001");
    }
}
