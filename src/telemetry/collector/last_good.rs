//! The last good state of the cluster on disk. Nothing of it where it is not kept.

use super::Telemetry;
use super::families::Families;
use std::fmt;

impl Telemetry {
    pub(super) fn encode_last_good(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let cells = self.last_good.read();
        if !cells.kept {
            return Ok(());
        }
        let mut gauge = |name, help, value: Option<u64>| {
            encoder.gauge(name, help, |family| match value {
                Some(value) => family.gauge::<0>(&[], i64::try_from(value).unwrap_or(i64::MAX)),
                None => Ok(()),
            })
        };
        gauge(
            "ravelin_last_good_restored",
            "1 if the last-good state is served because the API server cannot be reached",
            Some(u64::from(cells.restored.is_some())),
        )?;
        gauge(
            "ravelin_last_good_confirmed_timestamp_seconds",
            "When the last-good state in use was last confirmed by the API server",
            cells.restored,
        )?;
        gauge(
            "ravelin_last_good_written_timestamp_seconds",
            "When this process last stored the state of the cluster",
            cells.written,
        )?;
        encoder.counter(
            "ravelin_last_good_write_failures",
            "Failures to store the state of the cluster",
            |family| family.count::<0>(&[], cells.failures),
        )
    }
}
