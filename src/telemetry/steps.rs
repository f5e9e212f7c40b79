//! Numbers of the steps of routes: those of one worker, and those of what all workers share.

use crate::error::labels;
use crate::model::middleware::StepKind;
use crate::net::counters::LocalCounter;
use crate::pki::access::TokenRefusal;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A counter that every thread may write.
#[derive(Debug, Default)]
pub struct SharedCounter(AtomicU64);

impl SharedCounter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A gauge that every thread may write.
#[derive(Debug, Default)]
pub struct SharedGauge(AtomicI64);

impl SharedGauge {
    /// Moves by `n`.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How much there is now.
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

labels! { fn label;
    /// Why a limit of the whole cluster was decided by this process alone: label `reason`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum StoreFailure {
        /// No connection to the store.
        Disconnected = "disconnected",
        /// No answer within the budget.
        Timeout = "timeout",
        /// An answer that is an error.
        Failed = "error",
    }
}

labels! { fn label;
    /// What a step made of a request: label `outcome`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum StepOutcome {
        /// It goes on.
        Passed = "passed",
        /// The step has answered it.
        Answered = "answered",
    }
}

/// What the steps of one worker made of requests, by kind.
#[derive(Debug, Default)]
pub struct StepResults([[LocalCounter; StepOutcome::ALL.len()]; StepKind::ALL.len()]);

impl StepResults {
    /// Counts a request. Only the owning thread may call this.
    pub fn count(&self, kind: StepKind, outcome: StepOutcome) {
        self.0[kind as usize][outcome as usize].add(1);
    }

    /// How many there were.
    pub fn total(&self, kind: StepKind, outcome: StepOutcome) -> u64 {
        self.0[kind as usize][outcome as usize].total()
    }
}

/// What the states of middlewares hold and do, whichever worker asks.
#[derive(Debug, Default)]
pub struct StepCells {
    /// Clients with a bucket of a `rateLimit`.
    pub rate_keys: SharedGauge,
    /// Bytes of the tables of buckets.
    pub rate_bytes: SharedGauge,
    /// Buckets that were in use and gave way to another client's.
    pub rate_evicted: SharedCounter,
    /// Tokens of Cloudflare Access whose signature was verified and good.
    pub access_verified: SharedCounter,
    /// Tokens that were refused, by [`TokenRefusal`].
    pub access_refused: [SharedCounter; TokenRefusal::ALL.len()],
    /// Tokens that workers keep as verified.
    pub access_tokens: SharedGauge,
    /// Files of `zone.secret_file` that cannot be used now.
    pub secret_files_failing: SharedGauge,
    /// Nonces of `digestAuth` that somebody has logged in with.
    pub digest_nonces: SharedGauge,
    /// Requests of a limit of the whole cluster that this process decided alone, by [`StoreFailure`].
    pub store_fallbacks: [SharedCounter; StoreFailure::ALL.len()],
    /// Stores of limits for the whole cluster that are connected.
    pub stores_connected: SharedGauge,
    /// How often circuit breakers opened.
    pub breaker_trips: SharedCounter,
    /// Responses that were compressed, in the order of `ContentCoding`: br, gzip.
    pub compressed: [SharedCounter; 2],
    /// Bytes that came to compressors.
    pub compressed_from: SharedCounter,
    /// Bytes that they made of those.
    pub compressed_to: SharedCounter,
    /// Responses that were not compressed for lack of memory.
    pub uncompressed: SharedCounter,
}
