//! What steps keep from one request to the next: buckets of limits, verified passwords, circuit breakers.
//!
//! One state for each middleware of the process, whatever table it is in and whichever worker asks: an edit of
//! another object must not refill a bucket. A worker remembers those that it has met, so that it takes the lock
//! once for each middleware and table.

use super::access::TokenCache;
use super::basic_auth::LogIns;
use super::breaker::BreakerState;
use super::digest_auth::Nonces;
use super::limit::{Concurrency, RateState, Stores};
use crate::model::middleware::{NamedStep, SecretSource, Step};
use crate::pki::access::{KeyStore, TeamKeys};
use crate::pki::zone_secret::{SecretCell, SecretStore};
use crate::telemetry::StepCells;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a state is kept that no worker has used. Between two tables all of them are unused for a moment.
const KEPT: Duration = Duration::from_secs(600);

/// The state of one middleware.
#[derive(Debug)]
pub enum State {
    /// None is needed, or there can be none: then the step refuses what it would need it for.
    Nothing,
    /// Of `access`: the keys of its team.
    Access(Arc<TeamKeys>),
    /// Of `secret-header`: the values of its file.
    Secret(Arc<SecretCell>),
    /// Of `basicAuth`.
    BasicAuth(LogIns),
    /// Of `digestAuth`.
    DigestAuth(Nonces),
    /// Of `rateLimit`.
    Rate(Box<RateState>),
    /// Of `inFlightReq`.
    InFlight(Arc<Concurrency>),
    /// Of `circuitBreaker`.
    Breaker(Box<BreakerState>),
}

impl State {
    fn of(middleware: &NamedStep, registry: &StateRegistry) -> Self {
        let StateRegistry { cells, stores, keys, secrets, .. } = registry;
        match &middleware.step {
            Step::SecretHeader(rule) => match &rule.source {
                SecretSource::File(path) => Self::Secret(secrets.file(path)),
                SecretSource::Values(_) => Self::Nothing,
            },
            Step::Access(rule) => Self::Access(keys.team(&rule.team)),
            Step::BasicAuth(_) => LogIns::new().map_or(Self::Nothing, Self::BasicAuth),
            Step::DigestAuth(_) => {
                Nonces::new(Instant::now(), cells).map_or(Self::Nothing, Self::DigestAuth)
            }
            Step::RateLimit(limit) => Self::Rate(Box::new(RateState::new(limit, cells, stores))),
            Step::CircuitBreaker(rules) => Self::Breaker(Box::new(BreakerState::new(rules, cells))),
            Step::InFlight(_) => Self::InFlight(Arc::default()),
            _ => Self::Nothing,
        }
    }
}

/// The states of all middlewares of the process.
#[derive(Debug, Default)]
pub struct StateRegistry {
    states: Mutex<HashMap<Arc<str>, Vec<Kept>>>,
    cells: Arc<StepCells>,
    stores: Stores,
    keys: Arc<KeyStore>,
    secrets: SecretStore,
}

#[derive(Debug)]
struct Kept {
    middleware: Arc<NamedStep>,
    state: Arc<State>,
    unused_since: Option<Instant>,
}

impl StateRegistry {
    /// What is counted of them.
    pub fn cells(&self) -> &Arc<StepCells> {
        &self.cells
    }

    /// The keys of teams of Cloudflare Access.
    pub fn keys(&self) -> &Arc<KeyStore> {
        &self.keys
    }

    /// The values of files with secrets.
    pub fn secrets(&self) -> &SecretStore {
        &self.secrets
    }

    /// The state of a middleware. One that says the same under the same name has the same.
    fn get(&self, middleware: &Arc<NamedStep>, now: Instant) -> Arc<State> {
        let mut all = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&middleware.name).into_iter().flatten();
        let known = known.into_iter().find(|kept| kept.middleware == *middleware);
        if let Some(kept) = known {
            return Arc::clone(&kept.state);
        }
        all.retain(|_, kept| {
            kept.retain_mut(|kept| kept.is_of_use(now));
            !kept.is_empty()
        });
        let state = Arc::new(State::of(middleware, self));
        let kept = Kept {
            middleware: Arc::clone(middleware),
            state: Arc::clone(&state),
            unused_since: None,
        };
        all.entry(Arc::clone(&middleware.name)).or_default().push(kept);
        state
    }
}

impl Kept {
    fn is_of_use(&mut self, now: Instant) -> bool {
        if Arc::strong_count(&self.state) > 1 {
            self.unused_since = None;
            return true;
        }
        let since = *self.unused_since.get_or_insert(now);
        now.saturating_duration_since(since) < KEPT
    }
}

/// Steps with their states, by where the steps are in memory; the value keeps them there.
type Known = HashMap<*const NamedStep, (Arc<NamedStep>, Arc<State>), foldhash::fast::RandomState>;

/// The states that one worker has met.
#[derive(Debug, Default)]
pub struct States {
    registry: Arc<StateRegistry>,
    known: RefCell<Known>,
    /// The generation of the table whose middlewares they are.
    generation: Cell<u64>,
    /// Tokens of Cloudflare Access that are verified.
    pub(super) tokens: RefCell<TokenCache>,
}

impl States {
    /// A worker's, without any.
    pub fn new(registry: Arc<StateRegistry>) -> Self {
        Self { registry, ..Self::default() }
    }

    /// What is counted of them.
    pub fn cells(&self) -> &Arc<StepCells> {
        self.registry.cells()
    }

    /// Forgets those of older tables.
    pub fn advance(&self, generation: u64) {
        if self.generation.replace(generation) != generation {
            self.known.borrow_mut().clear();
        }
    }

    /// The state of a middleware.
    pub fn get(&self, middleware: &Arc<NamedStep>) -> Arc<State> {
        self.with(middleware, Arc::clone)
    }

    /// What is made of the state of a middleware.
    pub fn with<R>(&self, middleware: &Arc<NamedStep>, make: impl FnOnce(&Arc<State>) -> R) -> R {
        let mut known = self.known.borrow_mut();
        let entry = known.entry(Arc::as_ptr(middleware)).or_insert_with(|| {
            (Arc::clone(middleware), self.registry.get(middleware, Instant::now()))
        });
        make(&entry.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_the_state_of_a_middleware_through_tables() {
        let registry = Arc::new(StateRegistry::default());
        let middleware = |name: &str| Arc::new(NamedStep { name: name.into(), step: Step::Noop });
        let (one, other) = (States::new(Arc::clone(&registry)), States::new(registry));
        let state = one.get(&middleware("a"));
        assert!(Arc::ptr_eq(&state, &other.get(&middleware("a"))));
        assert!(!Arc::ptr_eq(&state, &other.get(&middleware("b"))));
        one.advance(1);
        assert!(Arc::ptr_eq(&state, &one.get(&middleware("a"))));
    }
}
