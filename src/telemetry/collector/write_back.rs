//! What the elected instance writes into the cluster. Nothing of it where the source is a directory.

use super::Telemetry;
use super::families::Families;
use std::fmt;

impl Telemetry {
    pub(super) fn encode_write_back(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let cells = self.write_back.read();
        if !cells.enabled {
            return Ok(());
        }
        let mut gauge = |name, help, value: f64| {
            encoder.gauge(name, help, |family| family.gauge_f64(&[], value))
        };
        gauge(
            "ravelin_leader",
            "1 if this instance is the leader, which writes status and Events",
            f64::from(u8::from(cells.leader)),
        )?;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        gauge(
            "ravelin_status_addresses",
            "Addresses that the leader writes into Ingresses; 0 on other instances",
            cells.addresses as f64,
        )?;
        encoder.counter("ravelin_elections", "How often this instance became the leader", |f| {
            f.count(&[], cells.elections)
        })?;
        encoder.counter("ravelin_writes", "Writes to the API server", |family| {
            cells.writes().try_for_each(|(kind, result, count)| {
                family.count(&[("kind", kind.as_str()), ("result", result.as_str())], count)
            })
        })?;
        encoder.counter(
            "ravelin_events_suppressed",
            "Events not sent because of rate limits",
            |family| {
                cells
                    .suppressed()
                    .try_for_each(|(why, count)| family.count(&[("reason", why.as_str())], count))
            },
        )
    }
}
