//! What connections and requests hold.

use super::Telemetry;
use super::families::Families;
use crate::net::memory::{HolderKind, Shortage, Stalled};
use std::fmt;

impl Telemetry {
    pub(super) fn encode_memory(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.gauge(
            "ravelin_memory_held_bytes",
            "Memory charged to connections and requests, by kind",
            |family| {
                for kind in HolderKind::ALL {
                    let held =
                        self.workers.iter().map(|cells| cells.memory.held[kind as usize].now());
                    family.gauge(&[("kind", kind.label())], held.sum())?;
                }
                Ok(())
            },
        )?;
        encoder.gauge(
            "ravelin_memory_limit_bytes",
            "Limit of that memory: limits.memory",
            |family| family.gauge::<0>(&[], self.memory.limit()),
        )?;
        encoder.gauge(
            "ravelin_memory_pressed",
            "1 if the cgroup's memory is nearly used up, so that new connections and requests are refused",
            |family| family.gauge::<0>(&[], i64::from(self.memory.is_pressed())),
        )?;
        encoder.counter(
            "ravelin_memory_refused",
            "Connections and requests refused because memory is short, by cause",
            |family| {
                for cause in Shortage::ALL {
                    let cells = self.workers.iter().map(|cells| &cells.memory);
                    let refused = cells.map(|memory| memory.refused[cause as usize].total());
                    family.count(&[("cause", cause.label())], refused.sum())?;
                }
                Ok(())
            },
        )?;
        encoder.counter(
            "ravelin_memory_ended",
            "Requests ended because memory is short and they made no progress, by state and cause",
            |family| {
                for state in Stalled::ALL {
                    for cause in [Shortage::Process, Shortage::Cgroup] {
                        let cells = self.workers.iter().map(|cells| &cells.memory);
                        let ended = cells
                            .map(|memory| memory.ended[state as usize][cause as usize].total());
                        let labels = [("state", state.label()), ("cause", cause.label())];
                        family.count(&labels, ended.sum())?;
                    }
                }
                Ok(())
            },
        )
    }
}
