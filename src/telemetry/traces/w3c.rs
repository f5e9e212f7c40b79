//! `traceparent` (W3C Trace Context, section 3.2).

use super::context::{SpanId, TraceId};
use http::HeaderValue;

/// Bytes of version 00: `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span of the sender.
    pub span_id: SpanId,
    /// Whether the sender may have recorded it: bit 0 of the flags.
    pub sampled: bool,
}

impl TraceParent {
    /// `None` for what is none: ids of zeros, capital letters, version ff, or more behind version 00. A version that is
    /// not known yet may have more behind what is.
    pub fn read(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let [version, trace_id, span_id, flags] = {
            let mut parts = known.split(|&byte| byte == b'-');
            let mut next = |length: usize| parts.next().filter(|part| part.len() == length);
            [next(2)?, next(32)?, next(16)?, next(2)?]
        };
        let fits = match version {
            b"ff" => false,
            b"00" => rest.is_empty(),
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        byte(version).filter(|_| fits)?;
        let sampled = byte(flags)? & 1 == 1;
        let (trace_id, span_id) = (TraceId::read(trace_id)?, SpanId::read(span_id)?);
        Some(Self { trace_id, span_id, sampled })
    }

    /// The value of the field, in version 00.
    pub(super) fn value(self) -> HeaderValue {
        let mut text = [b'0'; LENGTH];
        text[2] = b'-';
        text[3..35].copy_from_slice(&self.trace_id.text());
        text[35] = b'-';
        text[36..52].copy_from_slice(&self.span_id.text());
        text[52] = b'-';
        text[54] = b'0' + u8::from(self.sampled);
        super::value(&text)
    }
}

/// What requests that are not traced are marked with: a `traceparent` whose trace differs in its lower half. Made of parts,
/// because it is made for nearly every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark([u8; LENGTH]);

impl Mark {
    /// With this upper half in the ids of its traces.
    pub(super) fn new(high: u64) -> Self {
        let mut text = *b"00-hhhhhhhhhhhhhhhhllllllllllllllll-ssssssssssssssss-00";
        text[3..19].copy_from_slice(&SpanId::of(high).text());
        Self(text)
    }

    /// The value of the field for a request. The span is recorded nowhere, so that its id may be a part of the other one.
    #[inline(always)]
    pub(super) fn value(&self, low: u64) -> HeaderValue {
        let (mut text, digits) = (self.0, SpanId::of(low).text());
        text[19..35].copy_from_slice(&digits);
        text[36..52].copy_from_slice(&digits);
        super::value(&text)
    }
}

/// Two digits.
fn byte(text: &[u8]) -> Option<u8> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    match text {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn that_of_the_specification_is_read_and_written() {
        let read = TraceParent::read(GOOD.as_bytes()).expect("valid");
        assert_eq!(read.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((read.span_id.to_string().as_str(), read.sampled), ("00f067aa0ba902b7", true));
        assert_eq!(read.value(), GOOD);
        let not = TraceParent { sampled: false, ..read };
        assert_eq!(not.value(), GOOD.replace("-01", "-00").as_str());
        assert_eq!(TraceParent::read(not.value().as_bytes()), Some(not));
    }

    #[test]
    fn a_mark_is_valid_whatever_the_numbers_are() {
        for (high, low) in [(0, 0), (1, 2), (u64::MAX, u64::MAX), (0x4bf9, 0x00f0_67aa)] {
            let value = Mark::new(high).value(low);
            let read = TraceParent::read(value.as_bytes()).expect("valid");
            let (high, low) = (high.max(1), low.max(1));
            assert_eq!(read.trace_id.to_string(), format!("{high:016x}{low:016x}"));
            assert_eq!((read.span_id.to_string(), read.sampled), (format!("{low:016x}"), false));
        }
    }

    #[test]
    fn only_the_lowest_bit_of_the_flags_is_the_decision() {
        for (flags, sampled) in
            [("00", false), ("01", true), ("02", false), ("03", true), ("ff", true)]
        {
            let text = format!("{}{flags}", &GOOD[..53]);
            let read = TraceParent::read(text.as_bytes()).expect("valid");
            assert_eq!(read.sampled, sampled, "{flags}");
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        for later in [format!("cc{}", &GOOD[2..]), format!("01{}-more-1", &GOOD[2..])] {
            assert_eq!(TraceParent::read(later.as_bytes()), TraceParent::read(GOOD.as_bytes()));
        }
    }

    #[test]
    fn what_is_not_valid_is_none() {
        for wrong in [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("{GOOD} "),
            format!("ff{}", &GOOD[2..]),
            format!("0x{}", &GOOD[2..]),
            format!("cc{}more", &GOOD[2..]),
            GOOD.to_uppercase(),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf9", "4bg9"),
            GOOD.replace("-00f0", "0-0f0"),
            GOOD.replace("-01", "-0g"),
            GOOD.replace('-', "_"),
            "-".repeat(LENGTH),
        ] {
            assert_eq!(TraceParent::read(wrong.as_bytes()), None, "{wrong}");
        }
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(300).collect();
        for start in 0..200 {
            assert_eq!(TraceParent::read(&bytes[start..start + LENGTH]), None);
        }
    }
}
