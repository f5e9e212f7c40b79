//! Lines that are not simply ravelin's own: another format, header fields, the query, or a choice of requests.

use super::clf::{self, ClfClock};
use super::clock::ClockText;
use super::details::{LoggedName, More};
use super::filter::Filter;
use super::line::Line;
use super::object::Object;
use super::{otel, traefik};
use crate::config::{AccessLogFormat, LogConfig};
use crate::telemetry::kept_fields::KeptField;
use http::header;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// As many bytes of all values of a field are written; the query has the bound of a path.
pub(super) const HEADER_BYTES: usize = 1024;

/// The longest query, as written.
pub(super) const QUERY_BYTES: usize = 2048;

/// What stands for a value that is not logged, as in Traefik.
pub(super) const REDACTED: &str = "REDACTED";

/// The settings of such a log, shared by its workers.
#[derive(Debug)]
pub struct Custom {
    format: AccessLogFormat,
    pub(super) query: bool,
    pub(super) request: Vec<LoggedName>,
    pub(super) response: Vec<LoggedName>,
    pub(super) filter: Filter,
    /// The name of each listener's entry point, by position.
    pub(super) entry_points: Box<[Arc<str>]>,
    /// Requests so far, of all workers, as Traefik counts them.
    count: AtomicU64,
}

impl Custom {
    /// `None` if all lines are ravelin's own. `entry_points`: the name of each listener's entry point.
    pub fn of(config: &LogConfig, entry_points: Box<[Arc<str>]>) -> Option<Arc<Self>> {
        let LogConfig { format, query, headers, filter, .. } = config;
        let filter = Filter::of(filter);
        let names = |kept: &[http::HeaderName]| {
            let kept = kept.iter().map(|name| LoggedName::new(name.clone(), false));
            let redacted = headers.redacted.iter();
            let redacted = redacted.map(|name| LoggedName::new(name.clone(), true));
            kept.chain(redacted).collect::<Vec<_>>()
        };
        let (mut request, mut response) = (names(&headers.request), names(&headers.response));
        let is_own = *format == AccessLogFormat::Ravelin;
        if is_own && !query && request.is_empty() && response.is_empty() && filter.keeps_all() {
            return None;
        }
        let is_traefik = matches!(format, AccessLogFormat::Traefik | AccessLogFormat::TraefikClf);
        if is_traefik && !request.iter().any(|name| name.name == header::USER_AGENT) {
            // Who reads these lines looks for it.
            request.push(LoggedName::new(header::USER_AGENT, false));
        }
        for names in [&mut request, &mut response] {
            names.sort_by(|a, b| a.canonical.cmp(&b.canonical));
        }
        let (format, query, count) = (*format, *query, AtomicU64::new(0));
        Some(Arc::new(Self { format, query, request, response, filter, entry_points, count }))
    }

    /// Whether relayed connections have lines: Traefik writes none.
    pub(super) fn has_connections(&self) -> bool {
        matches!(self.format, AccessLogFormat::Ravelin | AccessLogFormat::Otel)
    }

    pub(super) fn is_otel(&self) -> bool {
        self.format == AccessLogFormat::Otel
    }

    /// Appends the line; returns whether a field was cut.
    pub(super) fn write(&self, line: &Line<'_>, more: &More<'_>, out: &mut Out<'_>) -> bool {
        match self.format {
            AccessLogFormat::Ravelin => self.write_own(line, more, out),
            AccessLogFormat::Otel => otel::write(self, line, more, out),
            AccessLogFormat::Traefik => traefik::write(self, line, more, out),
            AccessLogFormat::TraefikClf => clf::write(self, line, more, out),
        }
    }

    /// The number of this request.
    pub(super) fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// ravelin's own line, with what was asked for at its end.
    fn write_own(&self, line: &Line<'_>, more: &More<'_>, out: &mut Out<'_>) -> bool {
        let cut = line.write(out.bytes, out.clock);
        out.bytes.truncate(out.bytes.len() - b"}\n".len());
        let mut object = Object::go_on(out.bytes);
        if let Some(query) = more.query.filter(|_| self.query) {
            object.text("query", query.as_bytes(), QUERY_BYTES);
        }
        for (key, names, fields) in [
            ("request_headers", &self.request, more.details.map(|details| &details.request)),
            ("response_headers", &self.response, more.details.map(|details| &details.response)),
        ] {
            let fields = fields.map(Vec::as_slice).unwrap_or_default();
            if fields.is_empty() {
                continue;
            }
            object.begin(key);
            for (name, field) in named(names, fields) {
                object.joined(name.name.as_str(), field);
            }
            object.end();
        }
        let also = object.cut;
        if also {
            object.flag("also_truncated", true);
        }
        out.bytes.extend_from_slice(b"}\n");
        cut || also
    }
}

/// Fields with their names.
pub(super) fn named<'a>(
    names: &'a [LoggedName],
    fields: &'a [KeptField],
) -> impl Iterator<Item = (&'a LoggedName, &'a KeptField)> {
    fields.iter().filter_map(|field| Some((names.get(field.position)?, field)))
}

/// Where a line goes, and the clocks that it is written by.
pub(super) struct Out<'o> {
    pub(super) bytes: &'o mut Vec<u8>,
    pub(super) clock: &'o mut ClockText,
    pub(super) clf: &'o RefCell<ClfClock>,
}
