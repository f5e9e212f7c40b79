//! The list of Cloudflare's addresses: what it is, how old it is, and how the last attempts went.

use super::Telemetry;
use super::families::Families;
use crate::telemetry::list::{ListFailure, ListSource};
use std::fmt;

impl Telemetry {
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
        encoder.gauge("ravelin_cloudflare_list_ranges", "Ranges in force", |family| {
            for (name, count) in [("ipv4", list.v4_ranges), ("ipv6", list.v6_ranges)] {
                family.gauge(&[("family", name)], i64::try_from(count).unwrap_or(i64::MAX))?;
            }
            Ok(())
        })?;
        encoder.gauge(
            "ravelin_cloudflare_list_origin",
            "Source of the list in force: 1 for the current source",
            |family| {
                ListSource::ALL.into_iter().try_for_each(|source| {
                    let labels = [("origin", source.as_str())];
                    family.gauge(&labels, i64::from(source == list.source))
                })
            },
        )?;
        encoder.gauge(
            "ravelin_cloudflare_list_failing",
            "Why the last refresh failed: 1 for the reason, 0 for all after a success",
            |family| {
                ListFailure::ALL.into_iter().try_for_each(|why| {
                    let now = list.failing == Some(why);
                    family.gauge(&[("reason", why.as_str())], i64::from(now))
                })
            },
        )?;
        encoder.counter(
            "ravelin_cloudflare_list_refreshes",
            "Attempts to refresh the list, by result",
            |family| {
                let mut attempts = list.attempts();
                attempts.try_for_each(|(result, count)| family.count(&[("result", result)], count))
            },
        )
    }
}
