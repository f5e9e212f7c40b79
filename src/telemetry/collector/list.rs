//! The list of Cloudflare's addresses: what it is, how old it is, and how the last attempts went.

use super::Telemetry;
use super::families::Families;
use crate::telemetry::list::{ListCells, ListFailure, ListMetrics, ListSource};
use std::fmt;
use std::sync::Arc;

impl Telemetry {
    /// What is known of the further ranges of Cloudflare, beside its list.
    pub fn extra_ranges(&self) -> &Arc<ListMetrics> {
        &self.extra_ranges
    }

    pub(super) fn encode_list(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let list = self.list.read();
        let mut plain = |name, help, value: Option<u64>| {
            encoder.gauge(name, help, |family| match value {
                Some(value) => family.gauge::<0>(&[], i64::try_from(value).unwrap_or(i64::MAX)),
                None => Ok(()),
            })
        };
        plain(
            "ravelin_cloudflare_list_confirmed_timestamp_seconds",
            "When the source last confirmed the list; for the embedded list, its date",
            list.confirmed,
        )?;
        plain(
            "ravelin_cloudflare_list_success_timestamp_seconds",
            "When a refresh last succeeded in this process",
            list.succeeded,
        )?;
        plain(
            "ravelin_cloudflare_list_failure_timestamp_seconds",
            "When a refresh last failed in this process",
            list.failed.map(|(_, at)| at),
        )?;
        plain(
            "ravelin_cloudflare_list_leaving_ranges",
            "Ranges that have left the list and are still admitted",
            u64::try_from(list.leaving).ok(),
        )?;
        self.encode_list_state(encoder)?;
        self.encode_extra_ranges(encoder)?;
        self.encode_break_glass(encoder)
    }

    fn encode_list_state(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let list = self.list.read();
        encode_ranges(&list, "ravelin_cloudflare_list_ranges", "Ranges in force", encoder)?;
        let help = "Source of the list in force: 1 for the current source";
        encode_source(&list, "ravelin_cloudflare_list_origin", help, encoder)?;
        let help = "Why the last refresh failed: 1 for the reason, 0 for all after a success";
        encode_failing(&list, "ravelin_cloudflare_list_failing", help, encoder)?;
        encoder.counter(
            "ravelin_cloudflare_list_refreshes",
            "Attempts to refresh the list, by result",
            |family| {
                let mut attempts = list.attempts();
                attempts.try_for_each(|(result, count)| family.count(&[("result", result)], count))
            },
        )
    }

    /// Nothing of a source that nobody has configured.
    pub(super) fn encode_extra_ranges(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let list = self.extra_ranges.read();
        let help = "Ranges that are trusted as Cloudflare's beside the list";
        encode_ranges(&list, "ravelin_cloudflare_extra_ranges", help, encoder)?;
        let help = "Source of the further ranges: 1 for the current source";
        encode_source(&list, "ravelin_cloudflare_extra_origin", help, encoder)?;
        let help =
            "Why the further ranges could not be read: 1 for the reason, 0 for all after a success";
        encode_failing(&list, "ravelin_cloudflare_extra_failing", help, encoder)
    }
}

fn encode_ranges(
    list: &ListCells,
    name: &'static str,
    help: &'static str,
    encoder: &mut Families<'_>,
) -> fmt::Result {
    encoder.gauge(name, help, |family| {
        for (name, count) in [("ipv4", list.v4_ranges), ("ipv6", list.v6_ranges)] {
            family.gauge(&[("family", name)], i64::try_from(count).unwrap_or(i64::MAX))?;
        }
        Ok(())
    })
}

fn encode_source(
    list: &ListCells,
    name: &'static str,
    help: &'static str,
    encoder: &mut Families<'_>,
) -> fmt::Result {
    encoder.gauge(name, help, |family| {
        ListSource::ALL.into_iter().try_for_each(|source| {
            family.gauge(&[("origin", source.as_str())], i64::from(source == list.source))
        })
    })
}

fn encode_failing(
    list: &ListCells,
    name: &'static str,
    help: &'static str,
    encoder: &mut Families<'_>,
) -> fmt::Result {
    encoder.gauge(name, help, |family| {
        ListFailure::ALL.into_iter().try_for_each(|why| {
            let now = list.failing == Some(why);
            family.gauge(&[("reason", why.as_str())], i64::from(now))
        })
    })
}
