//! The decision about a request, and what its pod is told.

mod spans;

use super::queue::{Held, Spans, queue};
use super::*;
use crate::config::{ParentPolicy, SampleRate, TraceFormat};
use crate::net::fields::Fields;
use crate::telemetry::WorkerCells;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use prost::Message as _;
use std::cell::Cell;
use tokio::sync::mpsc::UnboundedReceiver;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

struct Fixture {
    tracer: Tracer,
    spans: UnboundedReceiver<Spans>,
    held: Arc<Held>,
    drawn: Cell<u64>,
}

impl Fixture {
    fn new(rate: f64, change: impl FnOnce(&mut Tracing)) -> Self {
        let rate = SampleRate::new(rate).expect("a rate");
        let mut config = Tracing { sample_rate: rate, ..Tracing::default() };
        change(&mut config);
        let (sink, exporter) = start(&config, [Arc::from("web")].into(), &Arc::default());
        drop(exporter);
        let (sender, spans, held) = queue(config.queue);
        let tracer = TraceSink { sender, ..sink }.worker(Arc::new(WorkerCells::new(1)), 1, 7);
        Self { tracer, spans, held, drawn: Cell::new(0) }
    }

    fn begin(&self, headers: &mut FieldMap) -> Option<Box<RequestTrace>> {
        let began = self.tracer.begin(headers, CLIENT, 0, || {
            self.drawn.set(self.drawn.get() + 1);
            crate::net::random::nth(1, self.drawn.get())
        });
        match began {
            Began::Traced(trace) => return Some(trace),
            Began::Told => {}
            Began::Unmarked(number) => self.tracer.mark(headers, number),
        }
        None
    }

    /// The fields that a pod gets, and whether the request is traced.
    fn told(&self, given: &[(&'static str, &str)]) -> (bool, Vec<String>) {
        let mut headers = fields(given);
        let is_traced = self.begin(&mut headers).is_some();
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        let told = headers.iter().map(|(name, value)| format!("{name}: {}", text(value)));
        (is_traced, told.collect())
    }

    /// The spans so far.
    fn read(&mut self) -> Vec<Span> {
        self.tracer.flush();
        let mut all = Vec::new();
        while let Ok(spans) = self.spans.try_recv() {
            self.held.release(spans.held());
            let read = ScopeSpans::decode(&*spans.bytes).expect("a message");
            assert_eq!(read.spans.len() as u64, spans.count);
            all.extend(read.spans);
        }
        all
    }
}

fn fields(given: &[(&'static str, &str)]) -> FieldMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    };
    given.iter().map(field).collect()
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

#[test]
fn a_request_without_a_trace_is_marked_unless_that_is_off() {
    let fixture = Fixture::new(0.0, |_| {});
    let mut seen = Vec::new();
    for _ in 0..100 {
        let (is_traced, told) = fixture.told(&[("host", "a")]);
        let [host, mark] = &*told else { panic!("{told:?}") };
        assert_eq!((is_traced, &**host), (false, "host: a"));
        let value = mark.strip_prefix("traceparent: ").expect("the mark");
        let read = TraceParent::read(value.as_bytes()).expect("valid");
        assert!(!read.sampled && !seen.contains(&read.trace_id), "each has a trace of its own");
        seen.push(read.trace_id);
    }
    let silent = Fixture::new(0.0, |config| config.mark_unsampled = false);
    assert_eq!(silent.told(&[("host", "a")]), (false, vec!["host: a".to_owned()]));
}

#[test]
fn a_sender_that_does_not_trace_is_obeyed_and_its_fields_pass_unchanged() {
    let fixture = Fixture::new(1.0, |config| config.propagation.push(TraceFormat::B3));
    for (name, value) in [
        ("traceparent", parent("00")),
        ("traceparent", format!("cc-{TRACE}-{SPAN}-00-more")),
        ("b3", format!("{TRACE}-{SPAN}-0")),
        ("b3", "0".to_owned()),
    ] {
        let (is_traced, told) = fixture.told(&[(name, &value), ("tracestate", "a=b")]);
        let unchanged = vec![format!("{name}: {value}"), "tracestate: a=b".to_owned()];
        assert_eq!((is_traced, told), (false, unchanged));
    }
}

#[test]
fn a_sender_that_traces_is_obeyed_up_to_the_limit_and_then_told_so() {
    let fixture = Fixture::new(0.0, |config| config.parent_limit = 1);
    let given = parent("01");
    let given = [("traceparent", &*given), ("tracestate", "a=b")];
    let (is_traced, told) = fixture.told(&given);
    assert!(is_traced);
    let value = told[0].strip_prefix("traceparent: ").expect("it is there");
    let read = TraceParent::read(value.as_bytes()).expect("valid");
    assert_eq!((&*read.trace_id.to_string(), read.sampled), (TRACE, true));
    assert_ne!(read.span_id.to_string(), SPAN, "our span is the parent");
    assert_eq!(told[1], "tracestate: a=b");
    let (is_traced, told) = fixture.told(&given);
    let declined = vec![format!("traceparent: {}", parent("00")), "tracestate: a=b".to_owned()];
    assert_eq!((is_traced, told), (false, declined));
    let TraceCells { by_parent, by_rate, limited } = &fixture.tracer.cells.traces;
    assert_eq!([by_parent, by_rate, limited].map(LocalCounter::total), [1, 0, 1]);
}

#[test]
fn what_is_ignored_or_not_valid_is_not_passed_on() {
    for policy in [ParentPolicy::Ignore, ParentPolicy::Obey] {
        for rate in [0.0, 1.0] {
            let fixture = Fixture::new(rate, |config| config.parent = policy);
            let valid = parent("01");
            let value = if policy == ParentPolicy::Ignore { &*valid } else { "00-x-y-01" };
            let (is_traced, told) =
                fixture.told(&[("traceparent", value), ("tracestate", "a=b"), ("b3", "1")]);
            let [b3, ours] = &*told else { panic!("{told:?}") };
            let ours = ours.strip_prefix("traceparent: ").expect("ours");
            let read = TraceParent::read(ours.as_bytes()).expect("valid");
            assert_eq!((is_traced, read.sampled), (rate > 0.0, rate > 0.0));
            assert_ne!(read.trace_id.to_string(), TRACE);
            assert_eq!(b3, "b3: 1", "a format that is not configured is not ours");
        }
    }
}

#[test]
fn a_trace_of_b3_without_a_decision_gets_ours_in_all_formats() {
    let formats = |config: &mut Tracing| {
        config.propagation = vec![TraceFormat::W3c, TraceFormat::B3, TraceFormat::B3Multi];
    };
    let b3 = format!("{TRACE}-{SPAN}");
    let (is_traced, told) = Fixture::new(0.0, formats).told(&[("b3", &b3)]);
    let declined = [
        format!("b3: {TRACE}-{SPAN}-0"),
        format!("traceparent: {}", parent("00")),
        format!("x-b3-traceid: {TRACE}"),
        format!("x-b3-spanid: {SPAN}"),
        "x-b3-sampled: 0".to_owned(),
    ];
    assert_eq!((is_traced, told), (false, declined.to_vec()));
    let (is_traced, told) = Fixture::new(1.0, formats).told(&[("b3", &b3)]);
    let own = told[0].strip_prefix(&format!("b3: {TRACE}-")).and_then(|b3| b3.strip_suffix("-1"));
    let own = own.expect("our span");
    assert!(is_traced && own != SPAN);
    assert!(told.contains(&format!("x-b3-spanid: {own}")));
    assert!(told.contains(&format!("traceparent: 00-{TRACE}-{own}-01")));
}
