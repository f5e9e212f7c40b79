//! B3: `b3`, and the fields `X-B3-*` (openzipkin/b3-propagation).

use super::context::{SpanId, TraceId};
use http::HeaderValue;

/// What B3 says of a request. Ids and decision may be there one without the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct B3 {
    /// Trace, and span of the sender.
    pub(super) ids: Option<(TraceId, SpanId)>,
    /// The decision; `None`: it is left to us.
    pub(super) sampled: Option<bool>,
}

impl B3 {
    /// Reads `b3`: `{trace}-{span}[-{decision}[-{parent}]]`, or a decision alone. `None` for what is neither.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        if text.len() <= 1 {
            return Some(Self { ids: None, sampled: Some(decision(text)?) });
        }
        let mut parts = text.split(|&byte| byte == b'-');
        let (trace_id, span_id) = (TraceId::read(parts.next()?)?, SpanId::read(parts.next()?)?);
        let sampled = parts.next().map(|part| decision(part).ok_or(())).transpose().ok()?;
        // The parent of the sender's span is of no use here.
        let is_parent = parts.next().is_none_or(|parent| SpanId::read(parent).is_some());
        let is_whole = is_parent && parts.next().is_none();
        is_whole.then_some(Self { ids: Some((trace_id, span_id)), sampled })
    }

    /// The same of the values of `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled` and `X-B3-Flags`.
    pub(super) fn read_fields(
        [trace_id, span_id, sampled, flags]: [Option<&[u8]>; 4],
    ) -> Option<Self> {
        let ids = match (trace_id, span_id) {
            (Some(trace_id), Some(span_id)) => {
                Some((TraceId::read(trace_id)?, SpanId::read(span_id)?))
            }
            (None, None) => None,
            // One of them alone is damage.
            _ => return None,
        };
        let sampled = match (flags, sampled) {
            // Debug: sampled for certain.
            (Some(b"1"), _) => Some(true),
            // Libraries before the specification wrote words.
            (_, Some(b"true")) => Some(true),
            (_, Some(b"false")) => Some(false),
            (_, Some(text)) => Some(decision(text).filter(|_| text != b"d")?),
            (_, None) => None,
        };
        (ids.is_some() || sampled.is_some()).then_some(Self { ids, sampled })
    }
}

/// `1`, `0`, or `d` for debug, which is sampled for certain.
fn decision(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"d" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}

/// The value of `b3`.
pub(super) fn single(trace_id: TraceId, span_id: SpanId, sampled: bool) -> HeaderValue {
    let mut text = [b'-'; 51];
    text[..32].copy_from_slice(&trace_id.text());
    text[33..49].copy_from_slice(&span_id.text());
    text[50] = b'0' + u8::from(sampled);
    super::value(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn ids() -> Option<(TraceId, SpanId)> {
        TraceId::read(TRACE.as_bytes()).zip(SpanId::read(SPAN.as_bytes()))
    }

    #[test]
    fn the_single_field_has_ids_a_decision_or_both() {
        for (text, ids, sampled) in [
            (format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"), ids(), Some(true)),
            (format!("{TRACE}-{SPAN}-1"), ids(), Some(true)),
            (format!("{TRACE}-{SPAN}-d"), ids(), Some(true)),
            (format!("{TRACE}-{SPAN}-0"), ids(), Some(false)),
            (format!("{TRACE}-{SPAN}"), ids(), None),
            ("0".to_owned(), None, Some(false)),
            ("1".to_owned(), None, Some(true)),
            ("d".to_owned(), None, Some(true)),
        ] {
            assert_eq!(B3::read(text.as_bytes()), Some(B3 { ids, sampled }), "{text}");
        }
        let (trace_id, span_id) = ids().expect("valid");
        let text = single(trace_id, span_id, true);
        assert_eq!(text, format!("{TRACE}-{SPAN}-1").as_str());
        let short = B3::read(format!("{}-{SPAN}-1", &TRACE[16..]).as_bytes()).and_then(|b3| b3.ids);
        assert_eq!(short.map(|(id, _)| id.to_string()), Some(format!("{:016}{}", 0, &TRACE[16..])));
    }

    #[test]
    fn a_single_field_that_is_not_valid_is_none() {
        for wrong in [
            String::new(),
            "2".to_owned(),
            "true".to_owned(),
            TRACE.to_owned(),
            format!("{TRACE}-"),
            format!("{TRACE}-{SPAN}-"),
            format!("{TRACE}-{SPAN}-2"),
            format!("{TRACE}-{SPAN}-1-"),
            format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b9"),
            format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90-1"),
            format!("{TRACE}-{SPAN}-1").to_uppercase(),
            format!("{}-{SPAN}-1", "0".repeat(32)),
            format!("{TRACE}-{}-1", "0".repeat(16)),
            format!("{}-{SPAN}-1", &TRACE[1..]),
        ] {
            assert_eq!(B3::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn several_fields_have_the_same() {
        let read = |fields: [&str; 4]| {
            B3::read_fields(fields.map(|field| (field != "-").then_some(field.as_bytes())))
        };
        for (fields, ids, sampled) in [
            ([TRACE, SPAN, "1", "-"], ids(), Some(true)),
            ([TRACE, SPAN, "0", "-"], ids(), Some(false)),
            ([TRACE, SPAN, "true", "-"], ids(), Some(true)),
            ([TRACE, SPAN, "-", "-"], ids(), None),
            ([TRACE, SPAN, "0", "1"], ids(), Some(true)),
            (["-", "-", "0", "-"], None, Some(false)),
        ] {
            assert_eq!(read(fields), Some(B3 { ids, sampled }), "{fields:?}");
        }
        for wrong in [
            ["-"; 4],
            [TRACE, "-", "1", "-"],
            ["-", SPAN, "1", "-"],
            [TRACE, SPAN, "d", "-"],
            [TRACE, SPAN, "", "-"],
            ["x", SPAN, "1", "-"],
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
