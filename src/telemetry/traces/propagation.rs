//! The fields by which requests tell of the trace that they belong to, read and written.

use super::b3::{self, B3};
use super::context::{SpanId, TraceId};
use super::w3c::{Mark, TraceParent};
use crate::config::TraceFormat;
use crate::net::fields::{FieldMap, Fields};
use http::{HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// What a request says of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    /// The trace, and the span of the sender.
    pub(super) ids: Option<(TraceId, SpanId)>,
    /// The sender's decision.
    pub(super) sampled: Option<bool>,
}

/// The formats that are read and written.
#[derive(Clone, Debug)]
pub(super) struct Propagation(Box<[TraceFormat]>);

impl Propagation {
    pub(super) fn of(formats: &[TraceFormat]) -> Self {
        Self(formats.into())
    }

    /// Whether one of the fields is there.
    #[inline(always)]
    pub(super) fn is_there(&self, headers: &FieldMap) -> bool {
        self.0.iter().any(|format| match format {
            TraceFormat::W3c => headers.contains(&TRACEPARENT),
            TraceFormat::B3 => headers.contains(&B3),
            TraceFormat::B3Multi => {
                [B3_SAMPLED, B3_TRACE, B3_FLAGS].iter().any(|name| headers.contains(name))
            }
        })
    }

    /// What the first format says that is there and valid.
    pub(super) fn read(&self, headers: &FieldMap) -> Option<Incoming> {
        self.0.iter().find_map(|format| match format {
            TraceFormat::W3c => {
                let TraceParent { trace_id, span_id, sampled } =
                    TraceParent::read(one(headers, &TRACEPARENT)?)?;
                Some(Incoming { ids: Some((trace_id, span_id)), sampled: Some(sampled) })
            }
            TraceFormat::B3 => B3::read(one(headers, &B3)?).map(Incoming::from),
            TraceFormat::B3Multi => {
                let fields = [B3_TRACE, B3_SPAN, B3_SAMPLED, B3_FLAGS];
                B3::read_fields(fields.each_ref().map(|name| one(headers, name)))
                    .map(Incoming::from)
            }
        })
    }

    /// `tracestate`, if `traceparent` is read.
    pub(super) fn state<'h>(&self, headers: &'h FieldMap) -> Option<&'h HeaderValue> {
        headers.get(&TRACESTATE).filter(|_| self.0.contains(&TraceFormat::W3c))
    }

    /// Removes all of them.
    pub(super) fn remove(&self, headers: &mut FieldMap) {
        for format in &self.0 {
            let names: &[HeaderName] = match format {
                TraceFormat::W3c => &[TRACEPARENT, TRACESTATE],
                TraceFormat::B3 => &[B3],
                TraceFormat::B3Multi => &[B3_TRACE, B3_SPAN, B3_PARENT, B3_SAMPLED, B3_FLAGS],
            };
            for name in names {
                headers.remove(name);
            }
        }
    }

    /// Writes a context, in all formats.
    pub(super) fn write(
        &self,
        headers: &mut FieldMap,
        trace_id: TraceId,
        span_id: SpanId,
        sampled: bool,
    ) {
        for format in &self.0 {
            match format {
                TraceFormat::W3c => {
                    headers.set(TRACEPARENT, TraceParent { trace_id, span_id, sampled }.value());
                }
                TraceFormat::B3 => headers.set(B3, b3::single(trace_id, span_id, sampled)),
                TraceFormat::B3Multi => {
                    headers.set(B3_TRACE, super::value(&trace_id.text()));
                    headers.set(B3_SPAN, super::value(&span_id.text()));
                    headers.set(B3_SAMPLED, decision(sampled));
                    headers.remove(&B3_PARENT);
                    headers.remove(&B3_FLAGS);
                }
            }
        }
    }

    /// Tells a pod that a request without any of the fields is not sampled. `number` is a random one.
    #[inline(always)]
    pub(super) fn mark(&self, headers: &mut FieldMap, mark: &Mark, number: u64) {
        for format in &self.0 {
            match format {
                TraceFormat::W3c => headers.push(TRACEPARENT, mark.value(number)),
                TraceFormat::B3 => headers.push(B3, decision(false)),
                TraceFormat::B3Multi => headers.push(B3_SAMPLED, decision(false)),
            }
        }
    }
}

impl From<B3> for Incoming {
    fn from(B3 { ids, sampled }: B3) -> Self {
        Self { ids, sampled }
    }
}

fn decision(sampled: bool) -> HeaderValue {
    HeaderValue::from_static(if sampled { "1" } else { "0" })
}

/// The value of a field that is there once.
fn one<'h>(headers: &'h FieldMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut all = headers.get_all(name);
    let first = all.next()?;
    all.next().is_none().then(|| first.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn all() -> Propagation {
        Propagation::of(&[TraceFormat::W3c, TraceFormat::B3, TraceFormat::B3Multi])
    }

    fn fields(fields: &[(&'static str, &str)]) -> FieldMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        fields.iter().map(field).collect()
    }

    fn text(headers: &FieldMap) -> Vec<String> {
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        headers.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect()
    }

    #[test]
    fn the_first_format_that_is_valid_counts() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let single = format!("{TRACE}-{SPAN}-0");
        let sampled = |given: &[(&'static str, &str)]| {
            let given = fields(given);
            assert!(all().is_there(&given));
            all().read(&given).map(|incoming| incoming.sampled)
        };
        assert_eq!(sampled(&[("b3", &single), ("traceparent", &parent)]), Some(Some(true)));
        assert_eq!(sampled(&[("b3", &single), ("traceparent", "x")]), Some(Some(false)));
        assert_eq!(sampled(&[("x-b3-sampled", "0"), ("b3", "x")]), Some(Some(false)));
        let twice = [("traceparent", &*parent), ("traceparent", &*parent)];
        assert_eq!(sampled(&twice), None, "whose it is cannot be told");
        assert_eq!(sampled(&[("x-b3-traceid", TRACE)]), None);
        assert!(!all().is_there(&fields(&[("host", "a"), ("tracestate", "a=b")])));
        let one = Propagation::of(&[TraceFormat::B3]);
        assert_eq!(one.read(&fields(&[("traceparent", &parent)])), None);
    }

    #[test]
    fn a_context_takes_the_place_of_another_in_all_formats() {
        let mut headers = fields(&[
            ("host", "a"),
            ("tracestate", "a=b"),
            ("b3", "1"),
            ("x-b3-flags", "1"),
            ("x-b3-parentspanid", SPAN),
            ("traceparent", "x"),
            ("traceparent", "y"),
        ]);
        let trace_id = TraceId::read(TRACE.as_bytes()).expect("valid");
        let span_id = SpanId::read(SPAN.as_bytes()).expect("valid");
        all().write(&mut headers, trace_id, span_id, true);
        let expected = [
            "host: a".to_owned(),
            "tracestate: a=b".to_owned(),
            format!("b3: {TRACE}-{SPAN}-1"),
            format!("traceparent: 00-{TRACE}-{SPAN}-01"),
            format!("x-b3-traceid: {TRACE}"),
            format!("x-b3-spanid: {SPAN}"),
            "x-b3-sampled: 1".to_owned(),
        ];
        assert_eq!(text(&headers), expected);
        all().remove(&mut headers);
        assert_eq!(text(&headers), ["host: a"]);
    }

    #[test]
    fn what_is_not_sampled_says_so() {
        let mut headers = FieldMap::new();
        all().mark(&mut headers, &Mark::new(1), 2);
        let mark = "traceparent: 00-00000000000000010000000000000002-0000000000000002-00";
        assert_eq!(text(&headers), [mark, "b3: 0", "x-b3-sampled: 0"]);
        let read = all().read(&headers).expect("valid");
        assert_eq!(read.sampled, Some(false));
    }
}
