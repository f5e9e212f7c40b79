//! The watch of the cluster, kind by kind. Nothing of it where the source is a directory.

use super::Telemetry;
use super::families::{Families, Family};
use crate::model::Kind;
use crate::telemetry::watch::WatchCells;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

impl Telemetry {
    pub(super) fn encode_watch(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let kinds = self.watch.read();
        if kinds.is_empty() {
            return Ok(());
        }
        let restored = self.last_good.read().restored;
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let restored = restored.map(|at| at as f64);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut gauge = |name, help, value: &dyn Fn(&WatchCells) -> Option<f64>| {
            encoder.gauge(name, help, |family| {
                kinds.iter().try_for_each(|(kind, cells)| match value(cells) {
                    Some(value) => family.gauge_f64(&[("kind", kind.as_str())], value),
                    None => Ok(()),
                })
            })
        };
        gauge(
            "ravelin_watch_synced",
            "1 once all objects of the kind have been listed",
            &|cells| Some(f64::from(u8::from(cells.synced))),
        )?;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        gauge("ravelin_watch_objects", "Objects in the watch cache", &|cells| {
            Some(cells.objects as f64)
        })?;
        gauge(
            "ravelin_watch_event_timestamp_seconds",
            "When the last event or bookmark arrived",
            &|cells| cells.event,
        )?;
        gauge(
            "ravelin_watch_proof_timestamp_seconds",
            "When the watch cache was last proven to match the API server",
            &|cells| cells.proof,
        )?;
        // What was restored is as old as the last proof of the process that kept it.
        let help = "Time since that proof, also of an earlier process: the age of the state that is served";
        gauge("ravelin_watch_age_seconds", help, &|cells| {
            cells.proof.or(restored).map(|proof| (now - proof).max(0.0))
        })?;
        encode_counts(encoder, &kinds)
    }
}

/// Attempts, and what came of them.
fn encode_counts(encoder: &mut Families<'_>, kinds: &BTreeMap<Kind, WatchCells>) -> fmt::Result {
    encoder.counter("ravelin_watch_lists", "Completed lists", |family| {
        let mut kinds = kinds.iter();
        kinds.try_for_each(|(kind, cells)| family.count(&[("kind", kind.as_str())], cells.lists))
    })?;
    encoder.counter(
        "ravelin_watch_errors",
        "Failed lists, watches and checks, by reason",
        |family| {
            each_reason(kinds, |kind, cells| {
                for (why, count) in cells.failures() {
                    family.count(&[("kind", kind), ("reason", why.as_str())], count)?;
                }
                Ok(())
            })
        },
    )?;
    encoder.gauge(
        "ravelin_watch_failing",
        "Why the last attempt failed: 1 for the reason, 0 for all after a success",
        |family| each_reason(kinds, |kind, cells| failing(family, kind, cells)),
    )
}

fn each_reason(
    kinds: &BTreeMap<Kind, WatchCells>,
    mut encode: impl FnMut(&str, &WatchCells) -> fmt::Result,
) -> fmt::Result {
    kinds.iter().try_for_each(|(kind, cells)| encode(kind.as_str(), cells))
}

fn failing(family: &mut Family<'_>, kind: &str, cells: &WatchCells) -> fmt::Result {
    let now = cells.failing.as_ref().map(|(why, _)| *why);
    cells.failures().try_for_each(|(why, _)| {
        let labels = [("kind", kind), ("reason", why.as_str())];
        family.gauge(&labels, i64::from(now == Some(why)))
    })
}
