//! `circuitBreaker`: requests are answered here while pods fail.
//!
//! Closed, it watches responses and looks every `checkPeriod` whether its condition holds; then it opens, and
//! answers everything for `fallbackDuration`. After that it lets through more and more for `recoveryDuration`, and
//! opens again if the condition holds again. One state for all workers. The time of a response is that to its head.

mod window;

use super::passage::StepNote;
use super::state::State;
use super::view::{RequestView, ResponseView};
use super::{StepAnswer, Stop};
use crate::error::Reason;
use crate::model::middleware::{CircuitBreaker, NamedStep};
use crate::telemetry::StepCells;
use http::StatusCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use window::Window;

/// The shortest time after which a client is to come again.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// The state of one circuit breaker, for all workers. A window has some hundred bytes, with latencies 42 KiB.
#[derive(Debug)]
pub struct BreakerState {
    /// Whether all requests pass: then the lock is not needed for that.
    is_closed: AtomicBool,
    watched: Mutex<Watched>,
    cells: Arc<StepCells>,
}

#[derive(Debug)]
struct Watched {
    began: Instant,
    phase: Phase,
    /// When the condition may be looked at again.
    next_check: Instant,
    window: Window,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    Recovering { since: Instant, passed: u32, answered: u32 },
}

impl BreakerState {
    pub(super) fn new(rules: &CircuitBreaker, cells: &Arc<StepCells>) -> Self {
        let now = Instant::now();
        let watched = Watched {
            began: now,
            phase: Phase::Closed,
            next_check: now,
            window: Window::of(&rules.condition),
        };
        let (is_closed, watched) = (AtomicBool::new(true), Mutex::new(watched));
        Self { is_closed, watched, cells: Arc::clone(cells) }
    }

    /// Whether a request may pass.
    fn admits(&self, rules: &CircuitBreaker, now: Instant) -> bool {
        if self.is_closed.load(Ordering::Relaxed) {
            return true;
        }
        let mut watched = self.lock();
        if let Phase::Open { until } = watched.phase {
            if now < until {
                return false;
            }
            watched.phase = Phase::Recovering { since: now, passed: 0, answered: 0 };
        }
        let Phase::Recovering { since, passed, answered } = &mut watched.phase else { return true };
        let time = now.saturating_duration_since(*since);
        if time >= rules.recovery {
            watched.phase = Phase::Closed;
            self.is_closed.store(true, Ordering::Relaxed);
            return true;
        }
        // The share of those that pass grows to one half; then all do.
        let wanted = 0.5 * time.as_secs_f64() / rules.recovery.as_secs_f64();
        let share = f64::from(*passed + 1) / f64::from(*passed + 1 + *answered);
        let passes = share < wanted;
        let counted = if passes { passed } else { answered };
        *counted = counted.saturating_add(1).min(u32::MAX / 4);
        passes
    }

    /// How long it stays open.
    fn wait(&self, now: Instant) -> Duration {
        match self.lock().phase {
            Phase::Open { until } => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// Notes a response. Returns whether the breaker opens for it.
    fn record(
        &self,
        rules: &CircuitBreaker,
        status: StatusCode,
        took: Duration,
        now: Instant,
    ) -> bool {
        let mut watched = self.lock();
        let watched = &mut *watched;
        let time = now.saturating_duration_since(watched.began);
        watched.window.record(status, took, time);
        if now < watched.next_check {
            return false;
        }
        watched.next_check = now + rules.check_period;
        let is_open = matches!(watched.phase, Phase::Open { .. });
        if is_open || !watched.window.holds(&rules.condition, time) {
            return false;
        }
        watched.phase = Phase::Open { until: now + rules.fallback };
        watched.window.clear();
        self.is_closed.store(false, Ordering::Relaxed);
        self.cells.breaker_trips.add(1);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a request pass unless the breaker is open.
pub(super) fn on_request(
    rules: &CircuitBreaker,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Stop> {
    let now = Instant::now();
    let admitted = request.states.with(middleware, |state| match &**state {
        State::Breaker(state) => Some(state.admits(rules, now)),
        _ => None,
    });
    if admitted.ok_or_else(|| StepAnswer::of(Reason::Internal))? {
        request.note(StepNote::Admitted(now));
        return Ok(());
    }
    let wait = request.states.with(middleware, |state| match &**state {
        State::Breaker(state) => state.wait(now),
        _ => Duration::ZERO,
    });
    let answer = StepAnswer::of(Reason::CircuitOpen).with_status(rules.status);
    // While it recovers, the next one may pass.
    Err(answer.with_retry_after(wait.max(LEAST_WAIT)).into())
}

/// Notes what became of a request that has passed.
pub(super) fn on_response(rules: &CircuitBreaker, response: &mut ResponseView<'_>) {
    let Some(StepNote::Admitted(began)) = response.note.take() else { return };
    let (status, now) = (*response.status, Instant::now());
    let opens = response.states.with(response.middleware, |state| match &**state {
        State::Breaker(state) => {
            state.record(rules, status, now.saturating_duration_since(began), now)
        }
        _ => false,
    });
    if opens {
        tracing::warn!(middleware = &*response.middleware.name, "a circuit breaker opens");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::{BreakerCondition, Operator, Signal};

    const SECOND: Duration = Duration::from_secs(1);

    fn rules() -> CircuitBreaker {
        CircuitBreaker {
            condition: BreakerCondition::Compare(Signal::NetworkErrors, Operator::Greater, 0.5),
            check_period: SECOND,
            fallback: SECOND * 10,
            recovery: SECOND * 10,
            status: StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn fail(state: &BreakerState, now: Instant) -> bool {
        state.record(&rules(), StatusCode::BAD_GATEWAY, Duration::ZERO, now)
    }

    #[test]
    fn it_opens_when_its_condition_holds_and_is_looked_at() {
        let state = BreakerState::new(&rules(), &Arc::default());
        let began = state.lock().began;
        let ok = |now| state.record(&rules(), StatusCode::OK, Duration::ZERO, now);
        assert!(!ok(began));
        assert!(!fail(&state, began), "it was looked at just before");
        assert!(!fail(&state, began));
        assert!(state.admits(&rules(), began));
        assert!(fail(&state, began + SECOND));
        assert!(!state.admits(&rules(), began + SECOND));
        assert_eq!(state.wait(began + SECOND * 4), SECOND * 7);
        assert!(!state.admits(&rules(), began + SECOND * 10));
        assert_eq!(state.cells.breaker_trips.total(), 1);
    }

    #[test]
    fn more_and_more_pass_until_it_is_closed_again() {
        let state = BreakerState::new(&rules(), &Arc::default());
        let began = state.lock().began;
        assert!(fail(&state, began));
        let recovers = began + SECOND * 10;
        let passed = |from: u32, to: u32| {
            let times = (from..to).map(|step| recovers + SECOND * step / 100);
            times.filter(|now| state.admits(&rules(), *now)).count()
        };
        let thirds = [passed(0, 333), passed(333, 666), passed(666, 1000)];
        assert!(thirds[0] < thirds[1] && thirds[1] < thirds[2], "{thirds:?}");
        assert!(thirds.iter().sum::<usize>() < 550, "{thirds:?}");
        assert!(state.admits(&rules(), recovers + SECOND * 10));
        assert!(state.is_closed.load(Ordering::Relaxed));
    }

    #[test]
    fn it_opens_again_if_pods_fail_while_it_recovers() {
        let state = BreakerState::new(&rules(), &Arc::default());
        let began = state.lock().began;
        assert!(fail(&state, began));
        assert!(!fail(&state, began + SECOND * 5), "it is open");
        let later = began + SECOND * 19;
        assert!(!state.admits(&rules(), began + SECOND * 10));
        // The first ones are answered, for a share to be reached.
        assert!((0..3).any(|_| state.admits(&rules(), later)));
        assert!(fail(&state, later));
        assert!(!state.admits(&rules(), later + SECOND * 9));
    }
}
