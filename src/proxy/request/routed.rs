//! What a request keeps of its route.

use crate::proxy::Downstream;
use crate::routing::{Held, RouteId};
use crate::telemetry::Series;
use std::sync::Arc;

/// The route of one request.
#[derive(Debug)]
pub(super) struct Routed(Kept);

#[derive(Debug)]
enum Kept {
    /// Until the head of the answer.
    Table(Held, RouteId),
    /// From there on. A WebSocket, an event stream or a long answer must not hold all routes, hosts and
    /// paths that there were when it began.
    Series(Arc<Series>),
}

impl Routed {
    /// By this route of this table.
    pub(super) fn by(table: Held, id: RouteId) -> Self {
        Self(Kept::Table(table, id))
    }

    /// The table and the number of the route in it, until the head of the answer.
    pub(super) fn table(&self) -> Option<(&Held, RouteId)> {
        match &self.0 {
            Kept::Table(table, id) => Some((table, *id)),
            Kept::Series(_) => None,
        }
    }

    /// Lets the table go: what is still to come needs the series alone.
    pub(super) fn release(&mut self, downstream: &Downstream) {
        if let Kept::Table(..) = &self.0 {
            self.0 = Kept::Series(self.with_series(downstream, Arc::clone));
        }
    }

    /// Gives the series to `act`.
    pub(super) fn with_series<R>(
        &self,
        Downstream { worker, listener, .. }: &Downstream,
        act: impl FnOnce(&Arc<Series>) -> R,
    ) -> R {
        match &self.0 {
            Kept::Table(table, id) => worker.series.with(*listener, table, Some(*id), act),
            Kept::Series(series) => {
                worker.series.list_again(series);
                act(series)
            }
        }
    }
}
