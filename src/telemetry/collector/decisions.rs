//! CrowdSec's decisions: how many there are, and how attempts to fetch them went.

use super::Telemetry;
use super::families::Families;
use crate::telemetry::list::ListFailure;
use std::fmt;

impl Telemetry {
    pub(super) fn encode_decisions(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let cells = self.decisions.read();
        encoder.gauge(
            "ravelin_crowdsec_decisions",
            "Decisions of CrowdSec: bans in force by scope, and those that are not obeyed",
            |family| {
                let counts = [
                    ("network", cells.networks),
                    ("country", cells.countries),
                    ("ignored", cells.ignored),
                ];
                counts.into_iter().try_for_each(|(scope, count)| {
                    family.gauge(&[("scope", scope)], i64::try_from(count).unwrap_or(i64::MAX))
                })
            },
        )?;
        let succeeded = cells.attempts.succeeded;
        encoder.gauge(
            "ravelin_crowdsec_success_timestamp_seconds",
            "When the decisions of CrowdSec were last fetched",
            |family| match succeeded {
                Some(at) => family.gauge::<0>(&[], i64::try_from(at).unwrap_or(i64::MAX)),
                None => Ok(()),
            },
        )?;
        encoder.gauge(
            "ravelin_crowdsec_failing",
            "Why the decisions of CrowdSec could not be fetched: 1 for the reason, 0 for all after a success",
            |family| {
                ListFailure::ALL.into_iter().try_for_each(|why| {
                    let now = cells.attempts.failing == Some(why);
                    family.gauge(&[("reason", why.as_str())], i64::from(now))
                })
            },
        )?;
        encoder.counter(
            "ravelin_crowdsec_fetches",
            "Attempts to fetch the decisions of CrowdSec, by result",
            |family| {
                let mut attempts = cells.attempts.attempts();
                attempts.try_for_each(|(result, count)| family.count(&[("result", result)], count))
            },
        )
    }
}
