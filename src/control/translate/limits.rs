//! How many requests the endpoints of a Service take at once, by annotations of the Service.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use super::timeouts;
use crate::control::quote::quote;
use crate::model::{Limits, Severity, Why};
use std::ops::RangeInclusive;

/// Requests in flight to one endpoint.
pub(super) const MAX_CONNECTIONS: &str = "ravelin.dev/max-connections";
/// Requests that may wait.
pub(super) const QUEUE: &str = "ravelin.dev/queue";
/// How long they may.
pub(super) const QUEUE_TIMEOUT: &str = "ravelin.dev/queue-timeout";

/// Reads them; `None` without a limit.
pub(super) fn read(annotations: Annotations<'_>, report: &mut Report<'_>) -> Option<Limits> {
    let most = count(annotations, MAX_CONNECTIONS, 1..=Limits::MOST_CONNECTIONS, report);
    let queue = count(annotations, QUEUE, 0..=Limits::LONGEST_QUEUE, report);
    let queue_timeout = timeouts::span(annotations, QUEUE_TIMEOUT, report);
    if annotations.get(MAX_CONNECTIONS).is_none() {
        for name in [QUEUE, QUEUE_TIMEOUT] {
            if annotations.get(name).is_some() {
                let reason = format!("has no effect without {MAX_CONNECTIONS}");
                let problem =
                    Problem::error(Why::Invalid, "", reason, "set the limit, or remove it");
                report.add(&field(name), problem.with(Severity::Warning));
            }
        }
    }
    Some(Limits {
        max_connections: most?,
        queue: queue.unwrap_or(Limits::QUEUE),
        queue_timeout: queue_timeout.unwrap_or(Limits::QUEUE_TIMEOUT),
    })
}

/// A whole number within bounds, if one is given.
fn count(
    annotations: Annotations<'_>,
    name: &str,
    bounds: RangeInclusive<u32>,
    report: &mut Report<'_>,
) -> Option<u32> {
    let text = annotations.get(name)?;
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_plain && bounds.contains(number));
    if number.is_none() {
        let (least, most) = (bounds.start(), bounds.end());
        let reason = format!("{} is not a whole number from {least} to {most}", quote(text));
        let fix = "write one in quotes; until then the default applies";
        report.add(&field(name), Problem::invalid("", reason, fix));
    }
    number
}
