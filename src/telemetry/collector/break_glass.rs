//! Break-glass: the switch, and the visitors that it admits.

use super::Telemetry;
use super::families::Families;
use crate::telemetry::BreakGlassCells;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Telemetry {
    /// The state of break-glass.
    pub fn break_glass(&self) -> &Arc<BreakGlassCells> {
        &self.break_glass
    }

    pub(super) fn encode_break_glass(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let cells = &self.break_glass;
        let gauges = [
            (
                "ravelin_break_glass",
                "Whether break-glass is on: every address is admitted",
                i64::from(cells.on.load(Relaxed)),
            ),
            (
                "ravelin_break_glass_unreadable",
                "Whether the switch of break-glass cannot be read, so that it counts as off",
                i64::from(cells.unreadable.load(Relaxed)),
            ),
            (
                "ravelin_break_glass_open_connections",
                "Open connections that break-glass alone admits",
                cells.open.load(Relaxed),
            ),
        ];
        for (name, help, value) in gauges {
            encoder.gauge(name, help, |family| family.gauge::<0>(&[], value))?;
        }
        let counters = [
            (
                "ravelin_break_glass_switched_on",
                "How often break-glass was switched on",
                &cells.switched_on,
            ),
            (
                "ravelin_break_glass_connections",
                "Connections that break-glass alone has admitted",
                &cells.connections,
            ),
            (
                "ravelin_break_glass_cut_connections",
                "Connections that were cut after break_glass.drain, when it was off again",
                &cells.cut,
            ),
        ];
        for (name, help, value) in counters {
            encoder.counter(name, help, |family| family.count::<0>(&[], value.load(Relaxed)))?;
        }
        Ok(())
    }
}
