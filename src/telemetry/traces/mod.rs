//! Distributed traces: which requests are traced, what pods are told of it, and the spans on their way to a collector.
//!
//! The decision is made from a few fields and a random number before anything of a span is built. A request that is not
//! traced pays for that decision alone, and one of a process without `[tracing]` pays a test of a pointer. Spans are
//! written into a buffer of the worker at the end of the request, as lines of the access log are, and handed over on its
//! tick; a thread of its own exports them (`export`). What does not fit in the queue is dropped and counted.

mod b3;
mod context;
mod export;
mod otlp;
mod propagation;
mod queue;
mod record;
mod sampling;
mod spans;
#[cfg(test)]
mod tests;
mod w3c;

pub use context::{SpanId, TraceId, TraceIds};
pub use export::{ExportCells, ExportFailure, ExportMetrics, Exporter};
pub use record::Finished;
pub use spans::{ClientSpans, RequestTrace, TracedRoute};
pub use w3c::TraceParent;

use super::EntryPointNames;
use crate::config::Tracing;
use crate::net::counters::LocalCounter;
use crate::net::fields::FieldMap;
use http::{HeaderName, HeaderValue};
use propagation::{Incoming, Propagation};
use queue::{Sender, Spans, queue};
use sampling::{Decision, Sampler};
use spans::{CapturedName, captured};
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use w3c::Mark;

/// A buffer is handed over when it has this many bytes: some 50 requests.
const FLUSH_BYTES: usize = 64 * 1024;

/// What the workers share.
#[derive(Debug)]
pub struct SpanSettings {
    propagation: Propagation,
    mark_unsampled: bool,
    query: bool,
    request: Vec<CapturedName>,
    response: Vec<CapturedName>,
    entry_points: EntryPointNames,
}

/// Counts of one worker.
#[derive(Debug, Default)]
pub struct TraceCells {
    /// Requests that are traced because their senders have decided so.
    pub by_parent: LocalCounter,
    /// Requests that are traced by the rate.
    pub by_rate: LocalCounter,
    /// Decisions of senders that were not obeyed, because there were too many.
    pub limited: LocalCounter,
}

/// The end of a worker: decides, and takes spans.
#[derive(Debug)]
pub struct Tracer {
    settings: Arc<SpanSettings>,
    sampler: Sampler,
    /// What tells pods of requests that are not traced.
    mark: Mark,
    buffer: RefCell<Spans>,
    scratch: RefCell<Vec<u8>>,
    sender: Sender,
    cells: Arc<super::WorkerCells>,
}

/// What the tracers of all workers are made of.
#[derive(Clone, Debug)]
pub struct TraceSink {
    settings: Arc<SpanSettings>,
    config: Arc<Tracing>,
    sender: Sender,
}

/// Begins: the sink for the workers, and what exports their spans.
pub fn start(
    config: &Tracing,
    entry_points: EntryPointNames,
    metrics: &Arc<ExportMetrics>,
) -> (TraceSink, Exporter) {
    let keys = |names: &[HeaderName], prefix: &str| {
        let key = |name: &HeaderName| CapturedName {
            name: name.clone(),
            key: format!("{prefix}{name}").into(),
        };
        names.iter().map(key).collect()
    };
    let settings = SpanSettings {
        propagation: Propagation::of(&config.propagation),
        mark_unsampled: config.mark_unsampled,
        query: config.query,
        request: keys(&config.request_headers, "http.request.header."),
        response: keys(&config.response_headers, "http.response.header."),
        entry_points,
    };
    let (sender, receiver, held) = queue(config.queue);
    let config = Arc::new(config.clone());
    let exporter = Exporter::new(&config, receiver, held, Arc::clone(metrics));
    (TraceSink { settings: Arc::new(settings), config, sender }, exporter)
}

impl TraceSink {
    /// The tracer of one of so many workers. `random` is a random number.
    pub fn worker(&self, cells: Arc<super::WorkerCells>, workers: usize, random: u64) -> Tracer {
        Tracer {
            settings: Arc::clone(&self.settings),
            sampler: Sampler::new(&self.config, workers),
            mark: Mark::new(random),
            buffer: RefCell::default(),
            scratch: RefCell::default(),
            sender: self.sender.clone(),
            cells,
        }
    }
}

/// What was decided about a request.
#[derive(Debug)]
pub enum Began {
    /// It is traced.
    Traced(Box<RequestTrace>),
    /// It is not, and its fields say what there is to be said.
    Told,
    /// It is not, and its pod is still to be told by [`Tracer::mark`], which takes this number.
    Unmarked(u64),
}

impl Tracer {
    /// Decides whether a request is traced, from its fields as the client sent them, and has them tell its pod.
    /// `client` is the proven client, `now_ms` the worker's clock; `draw` draws a random number.
    #[inline(always)]
    pub fn begin(
        &self,
        headers: &mut FieldMap,
        client: IpAddr,
        now_ms: u64,
        draw: impl Fn() -> u64,
    ) -> Began {
        if self.settings.propagation.is_there(headers) {
            return self.go_on(headers, client, now_ms, &draw).map_or(Began::Told, Began::Traced);
        }
        let random = draw();
        if self.sampler.draws(random) {
            return Began::Traced(self.trace(headers, None, Decision::ByRate, &draw));
        }
        match self.settings.mark_unsampled {
            true => Began::Unmarked(random),
            false => Began::Told,
        }
    }

    /// Tells the pod of a request that it is not traced: apart from the decision, so that nothing looks at the field on its
    /// way there. `number` is that of [`Began::Unmarked`].
    #[inline(always)]
    pub fn mark(&self, headers: &mut FieldMap, number: u64) {
        self.settings.propagation.mark(headers, &self.mark, number);
    }

    /// The same for a request that says something of its trace.
    #[cold]
    fn go_on(
        &self,
        headers: &mut FieldMap,
        client: IpAddr,
        now_ms: u64,
        draw: &dyn Fn() -> u64,
    ) -> Option<Box<RequestTrace>> {
        let propagation = &self.settings.propagation;
        let read = propagation.read(headers).filter(|_| self.sampler.hears(client));
        let Some(incoming) = read else {
            // What is not valid or not heard is not passed on: a pod would obey it.
            propagation.remove(headers);
            if self.sampler.draws(draw()) {
                return Some(self.trace(headers, None, Decision::ByRate, draw));
            }
            if self.settings.mark_unsampled {
                propagation.mark(headers, &self.mark, draw());
            }
            return None;
        };
        let (decision, limited) = self.sampler.decide(&incoming, client, now_ms, draw());
        if limited {
            self.cells.traces.limited.add(1);
        }
        match decision {
            Decision::ByParent | Decision::ByRate => {
                Some(self.trace(headers, Some(&incoming), decision, draw))
            }
            Decision::NotByParent => None,
            Decision::NotByRate => {
                self.decline(headers, &incoming, draw());
                None
            }
        }
    }

    /// Passes a context on as one that is not sampled.
    fn decline(&self, headers: &mut FieldMap, incoming: &Incoming, random: u64) {
        let propagation = &self.settings.propagation;
        match incoming.ids {
            Some((trace_id, span_id)) => propagation.write(headers, trace_id, span_id, false),
            None => {
                propagation.remove(headers);
                propagation.mark(headers, &self.mark, random);
            }
        }
    }

    #[cold]
    fn trace(
        &self,
        headers: &mut FieldMap,
        incoming: Option<&Incoming>,
        decision: Decision,
        draw: &dyn Fn() -> u64,
    ) -> Box<RequestTrace> {
        match decision {
            Decision::ByParent => self.cells.traces.by_parent.add(1),
            _ => self.cells.traces.by_rate.add(1),
        }
        let parent = incoming.and_then(|incoming| incoming.ids);
        let trace_id = parent.map_or_else(|| TraceId::of(draw(), draw()), |(trace_id, _)| trace_id);
        let ids = TraceIds { trace_id, span_id: SpanId::of(draw()) };
        let propagation = &self.settings.propagation;
        let state = parent.and_then(|_| propagation.state(headers).cloned());
        // What asks on behalf of the request, such as forward authentication, belongs to its span.
        propagation.write(headers, trace_id, ids.span_id, true);
        let request = captured(&self.settings.request, headers);
        let parent = parent.map(|(_, span_id)| span_id);
        let (response, route) = (Vec::new(), None);
        Box::new(RequestTrace { ids, parent, state, request, response, route })
    }

    /// What the spans of a request are written by.
    pub fn settings(&self) -> &Arc<SpanSettings> {
        &self.settings
    }

    /// Takes the spans of a request that has ended.
    pub fn finish(
        &self,
        trace: &RequestTrace,
        clients: Option<&ClientSpans>,
        finished: &Finished<'_>,
    ) {
        let mut buffer = self.buffer.borrow_mut();
        let mut scratch = self.scratch.borrow_mut();
        let bytes = &mut buffer.bytes;
        let count = record::write(&self.settings, trace, clients, finished, &mut scratch, bytes);
        buffer.count += count;
        if buffer.bytes.len() >= FLUSH_BYTES {
            self.sender.send(std::mem::take(&mut buffer));
        }
    }

    /// Hands over what there is. Called on every tick of the worker.
    pub fn flush(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.count > 0 {
            self.sender.send(std::mem::take(&mut buffer));
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Those of connections that are cut when the process leaves come last.
        self.flush();
    }
}

/// The value of a field, of hexadecimal digits and hyphens.
fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
