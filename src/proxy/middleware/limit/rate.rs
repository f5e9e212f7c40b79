//! `rateLimit`: a token bucket for each client.
//!
//! A request without a token is refused at once, takes none, and is told when to come again.

use super::super::client::is_visitor_in;
use super::super::state::State;
use super::super::{RequestView, StepAnswer, Stop};
use super::buckets::Buckets;
use super::key::Key;
use super::store::{Store, Stores};
use crate::error::Reason;
use crate::model::middleware::{NamedStep, RateLimit};
use crate::proxy::gcra::Rate;
use crate::routing::Table;
use crate::telemetry::StepCells;
use http::{HeaderName, HeaderValue};
use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it is until there is a token, as Traefik says it: a duration of Go.
const X_RETRY_IN: HeaderName = HeaderName::from_static("x-retry-in");

/// The buckets of one `rateLimit`, of all workers.
#[derive(Debug)]
pub struct RateState {
    rate: Rate,
    buckets: Buckets,
    hashes: RandomState,
    /// Where its time begins.
    origin: Instant,
    /// Where the buckets of the whole cluster are.
    store: Option<Arc<Store>>,
}

impl RateState {
    pub(in super::super) fn new(
        limit: &RateLimit,
        cells: &Arc<StepCells>,
        stores: &Stores,
    ) -> Self {
        let store = limit.shared.as_ref().map(|settings| stores.get(settings, cells));
        Self {
            store,
            rate: Rate::of(limit),
            buckets: Buckets::new(Arc::clone(cells)),
            hashes: RandomState::new(),
            origin: Instant::now(),
        }
    }

    /// Takes a token of a client's.
    fn take(&self, key: Key<'_>) -> Result<(), Duration> {
        self.buckets.take(key.number(&self.hashes), self.now(), self.rate)
    }

    /// Takes a token of a client's from the buckets of the whole cluster, or else of this process.
    async fn take_shared(
        &self,
        store: &Store,
        middleware: &NamedStep,
        key: Key<'_>,
    ) -> Result<(), Duration> {
        match store.take(&middleware.name, key, self.rate).await {
            Ok(answer) => {
                // So that the buckets of this process are not full when it has to decide.
                if answer.is_ok() {
                    self.buckets.charge(key.number(&self.hashes), self.now(), self.rate);
                }
                answer
            }
            Err(_) => self.take(key),
        }
    }

    fn now(&self) -> u64 {
        // Begins late enough for a bucket that never was in use to be full.
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// Lets a request pass if its client has a token.
pub(in super::super) fn on_request(
    limit: &RateLimit,
    middleware: &Arc<NamedStep>,
    request: &RequestView<'_>,
) -> Result<(), Stop> {
    if is_visitor_in(&limit.except, request) {
        return Ok(());
    }
    if limit.shared.is_some() {
        return Err(Stop::Wait);
    }
    let key = Key::of(&limit.key, request);
    let taken = request.states.with(middleware, |state| match &**state {
        State::Rate(state) => Some(state.take(key)),
        _ => None,
    });
    let taken = taken.ok_or_else(|| StepAnswer::of(Reason::Internal))?;
    taken.map_err(|wait| refusal(limit, wait).into())
}

/// Lets a request pass if its client has a token in the buckets of the whole cluster.
pub(in super::super) async fn wait(
    limit: &RateLimit,
    middleware: &Arc<NamedStep>,
    request: &RequestView<'_>,
    table: &Table,
) -> Result<(), Box<StepAnswer>> {
    let key = Key::of(&limit.key, request);
    let state = request.states.get(middleware);
    let State::Rate(state) = &*state else {
        return Err(Box::new(StepAnswer::of(Reason::Internal)));
    };
    let taken = match &state.store {
        Some(store) => {
            let service = limit.shared.as_ref().and_then(|settings| settings.service.as_ref());
            if let Some(backend) = service.and_then(|service| table.backend_of(service)) {
                store.point_to(&backend.endpoints());
            }
            state.take_shared(store, middleware, key).await
        }
        None => state.take(key),
    };
    taken.map_err(|wait| Box::new(refusal(limit, wait)))
}

/// Refuses a request that has no token for so long.
fn refusal(limit: &RateLimit, wait: Duration) -> StepAnswer {
    let answer = StepAnswer::of(Reason::RateLimited).with_status(limit.status);
    let answer = answer.with_retry_after(wait);
    match HeaderValue::try_from(go_duration(wait)) {
        Ok(text) => answer.with(X_RETRY_IN, text),
        Err(_) => answer,
    }
}

/// A duration as Go writes it: `1h0m0.5s`, `987.694551ms`.
fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let (unit, digits) = match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 0),
        1_000..1_000_000 => ("µs", 3),
        1_000_000..1_000_000_000 => ("ms", 6),
        _ => ("s", 9),
    };
    let mut text = String::new();
    let mut whole = nanoseconds;
    if unit == "s" {
        let minutes = duration.as_secs() / 60;
        if minutes >= 60 {
            text.push_str(&format!("{}h", minutes / 60));
        }
        if minutes > 0 {
            text.push_str(&format!("{}m", minutes % 60));
        }
        whole -= u128::from(minutes) * 60_000_000_000;
    }
    let scale = 10_u128.pow(digits);
    text.push_str(&(whole / scale).to_string());
    let fraction = whole % scale;
    if fraction > 0 {
        let fraction = format!("{fraction:0width$}", width = digits as usize);
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_go_writes_it() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (987_694_551, "987.694551ms"),
            (1_000_000_000, "1s"),
            (60_000_000_000, "1m0s"),
            (3_599_971_911_317, "59m59.971911317s"),
            (3_600_500_000_000, "1h0m0.5s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), expected);
        }
    }
}
