//! Cloudflare Access: the keys of teams, how attempts to fetch them went, and what became of tokens.

use super::Telemetry;
use super::families::Families;
use crate::pki::access::TokenRefusal;
use crate::telemetry::steps::StepCells;
use std::fmt;

impl Telemetry {
    pub(super) fn encode_access(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let cells = self.access.read();
        encoder.gauge(
            "ravelin_access_keys",
            "Keys of a team of Cloudflare Access that are in force",
            |family| {
                cells.teams.iter().try_for_each(|(team, cells)| {
                    family.gauge(&[("team", team)], i64::try_from(cells.keys).unwrap_or(i64::MAX))
                })
            },
        )?;
        encoder.gauge(
            "ravelin_access_keys_success_timestamp_seconds",
            "When the keys of a team of Cloudflare Access were last fetched",
            |family| {
                let times = cells.teams.iter();
                let mut times = times.filter_map(|(team, cells)| Some((team, cells.succeeded?)));
                times.try_for_each(|(team, at)| {
                    family.gauge(&[("team", team)], i64::try_from(at).unwrap_or(i64::MAX))
                })
            },
        )?;
        encoder.gauge(
            "ravelin_access_keys_failing",
            "Whether the last attempt to fetch the keys of a team of Cloudflare Access failed",
            |family| {
                cells.teams.iter().try_for_each(|(team, cells)| {
                    family.gauge(&[("team", team)], i64::from(cells.failing.is_some()))
                })
            },
        )?;
        encoder.counter(
            "ravelin_access_keys_fetches",
            "Attempts to fetch keys of Cloudflare Access, by result",
            |family| {
                let mut attempts = cells.attempts.attempts();
                attempts.try_for_each(|(result, count)| family.count(&[("result", result)], count))
            },
        )?;
        let none = StepCells::default();
        encode_tokens(self.steps.get().map_or(&none, |cells| cells), encoder)
    }
}

fn encode_tokens(cells: &StepCells, encoder: &mut Families<'_>) -> fmt::Result {
    encoder.counter(
        "ravelin_access_verifications",
        "Tokens of Cloudflare Access whose signature was verified and good; those that are kept are not verified again",
        |family| family.count::<0>(&[], cells.access_verified.total()),
    )?;
    encoder.counter(
        "ravelin_access_refused_tokens",
        "Tokens of Cloudflare Access that were refused, by cause",
        |family| {
            TokenRefusal::ALL.into_iter().try_for_each(|cause| {
                let count = cells.access_refused[cause as usize].total();
                family.count(&[("cause", cause.label())], count)
            })
        },
    )?;
    encoder.gauge(
        "ravelin_access_cached_tokens",
        "Tokens of Cloudflare Access that workers keep as verified; at most 4096 for each worker, 4 MiB",
        |family| family.gauge::<0>(&[], cells.access_tokens.now()),
    )
}
