//! How much may be asked.

use super::super::BackendKey;
use super::source::ClientSelector;
use http::{HeaderName, StatusCode};
use ipnet::IpNet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// `rateLimit`: a token bucket for each client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `average`: requests in a `period`.
    pub average: NonZeroU32,
    /// `period`; more than zero.
    pub period: Duration,
    /// `burst`: requests at once; at least 1.
    pub burst: NonZeroU32,
    /// `sourceCriterion`.
    pub key: LimitKey,
    /// Visitors that are not limited; none by a Middleware.
    pub except: Vec<IpNet>,
    /// What a request too many gets: 429, 503 by ingress-nginx.
    pub status: StatusCode,
    /// `redis`: where the buckets of the whole cluster are.
    pub shared: Option<Box<SharedStore>>,
}

/// What is one client of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// By address.
    Client(ClientSelector),
    /// `requestHeaderName`: by the value of a field.
    Field(HeaderName),
    /// `requestHost`: by host.
    Host,
    /// All requests of the route together.
    Route,
}

/// `redis` of a `rateLimit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedStore {
    /// `endpoints`: host and port; the first that answers is used.
    pub endpoints: Vec<Arc<str>>,
    /// The Service of the cluster that an endpoint names, resolved without DNS.
    pub service: Option<BackendKey>,
    /// `secret`, key `username`.
    pub username: Option<Arc<str>>,
    /// `secret`, key `password`.
    pub password: Option<Password>,
    /// `db`.
    pub database: i64,
    /// `tls`, and whether the server is verified.
    pub tls: Option<bool>,
    /// `dialTimeout`, `readTimeout`, `writeTimeout` are bounded by this.
    pub budget: Duration,
}

/// A password, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub Arc<str>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `inFlightReq`: requests at once for each client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlightLimit {
    /// `amount`.
    pub amount: NonZeroU32,
    /// `sourceCriterion`.
    pub key: LimitKey,
    /// Visitors that are not limited; none by a Middleware.
    pub except: Vec<IpNet>,
    /// What a request too many gets: 429, 503 by ingress-nginx.
    pub status: StatusCode,
}

/// `circuitBreaker`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// `expression`: opens when it holds.
    pub condition: BreakerCondition,
    /// `checkPeriod`.
    pub check_period: Duration,
    /// `fallbackDuration`: how long it is open.
    pub fallback: Duration,
    /// `recoveryDuration`: how long it takes to let all requests through again.
    pub recovery: Duration,
    /// `responseCode` while it is open.
    pub status: StatusCode,
}

/// An expression of a circuit breaker.
#[derive(Clone, Debug, PartialEq)]
pub enum BreakerCondition {
    /// `a && b`.
    All(Vec<BreakerCondition>),
    /// `a || b`.
    Any(Vec<BreakerCondition>),
    /// `SIGNAL OPERATOR NUMBER`.
    Compare(Signal, Operator, f64),
}

/// Numbers come from text and are never NaN.
impl Eq for BreakerCondition {}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// `NetworkErrorRatio()`.
    NetworkErrors,
    /// `ResponseCodeRatio(from, to, dividedByFrom, dividedByTo)`: ends are exclusive.
    Responses {
        /// Counted: from, to.
        counted: (u16, u16),
        /// Divided by: from, to.
        divided: (u16, u16),
    },
    /// `LatencyAtQuantileMS(quantile)`.
    Latency(f64),
    /// `RequestThreshold`: requests in the window.
    Requests,
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
}
