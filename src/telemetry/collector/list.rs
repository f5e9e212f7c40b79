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
        self.encode_list_state(encoder)
    }

    fn encode_list_state(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let list = self.list.read();
        let helps = [
            "Ranges in force",
            "Source of the list in force: 1 for the current source",
            "Why the last refresh failed: 1 for the reason, 0 for all after a success",
        ];
        encode_state(&list, "ravelin_cloudflare_list", helps, encoder)?;
        encoder.counter(
            "ravelin_cloudflare_list_refreshes",
            "Attempts to refresh the list, by result",
            |family| {
                let mut attempts = list.attempts();
                attempts.try_for_each(|(result, count)| family.count(&[("result", result)], count))
            },
        )
    }

    /// The further ranges: none, where no source is configured.
    pub(super) fn encode_extra_ranges(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let helps = [
            "Ranges that are trusted as Cloudflare's beside the list",
            "Source of the further ranges: 1 for the current source",
            "Why the further ranges could not be read: 1 for the reason, 0 for all after a success",
        ];
        encode_state(&self.extra_ranges.read(), "ravelin_cloudflare_extra", helps, encoder)
    }
}

/// How many ranges a list has, where it is from and why it could not be read: `_ranges`, `_origin` and `_failing` behind
/// `prefix`, with a help each.
fn encode_state(
    list: &ListCells,
    prefix: &str,
    [ranges, origin, failing]: [&str; 3],
    encoder: &mut Families<'_>,
) -> fmt::Result {
    encoder.gauge(&format!("{prefix}_ranges"), ranges, |family| {
        for (name, count) in [("ipv4", list.v4_ranges), ("ipv6", list.v6_ranges)] {
            family.gauge(&[("family", name)], i64::try_from(count).unwrap_or(i64::MAX))?;
        }
        Ok(())
    })?;
    encoder.gauge(&format!("{prefix}_origin"), origin, |family| {
        ListSource::ALL.into_iter().try_for_each(|source| {
            family.gauge(&[("origin", source.as_str())], i64::from(source == list.source))
        })
    })?;
    encoder.gauge(&format!("{prefix}_failing"), failing, |family| {
        ListFailure::ALL.into_iter().try_for_each(|why| {
            let now = list.failing == Some(why);
            family.gauge(&[("reason", why.as_str())], i64::from(now))
        })
    })
}
