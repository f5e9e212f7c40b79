//! How a request to the API server failed, and when to try again.

use crate::control::cause::cause;
use crate::control::jitter::{doubled, spread};
use crate::telemetry::WriteResult;
use std::time::Duration;

/// How a request failed, as far as it decides what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// 409.
    Conflict,
    /// 429.
    Throttled,
    /// 5xx.
    Server,
    /// No answer, none in time, or none that is one.
    Unreachable,
    /// 404 or 410.
    Gone,
    /// Any other status: to ask again soon would change nothing.
    Refused,
}

impl Failure {
    pub(super) fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Unreachable };
        match status.code {
            409 => Self::Conflict,
            429 => Self::Throttled,
            404 | 410 => Self::Gone,
            500..=599 => Self::Server,
            _ => Self::Refused,
        }
    }

    pub(super) fn result(self) -> WriteResult {
        match self {
            Self::Conflict => WriteResult::Conflict,
            Self::Throttled => WriteResult::Throttled,
            Self::Server => WriteResult::ServerError,
            Self::Unreachable => WriteResult::Unreachable,
            Self::Gone => WriteResult::Gone,
            Self::Refused => WriteResult::Refused,
        }
    }
}

/// Waits for an answer, but not for longer than `limit`. A refusal is logged with the server's
/// words, because they name the right that is missing.
pub(super) async fn within<T>(
    limit: Duration,
    what: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let failure = Failure::of(&error);
            let words = words(&error);
            if failure == Failure::Refused {
                tracing::warn!(what, words, "the API server rejected a request");
            } else {
                tracing::debug!(what, words, "a request to the API server failed");
            }
            Err(failure)
        }
        Err(_) => {
            tracing::debug!(what, seconds = limit.as_secs_f64(), "no response in time");
            Err(Failure::Unreachable)
        }
    }
}

/// The API server's own words, without the object that they came in.
pub(super) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => cause(other),
    }
}

/// Intervals between attempts that double.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The longest interval; also the one after a refusal, which seldom passes without intervention.
    pub most: Duration,
}

impl Default for Backoff {
    /// 0.5 s to 60 s: a busy API server is not made busier, and a right that is given back works
    /// within a minute.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), most: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// How long to wait after so many failures in a row, the last of which was `failure`. `random`
    /// is from 0 to 1.
    pub(super) fn after(&self, failures: u32, failure: Failure, random: f64) -> Duration {
        let wait = match failure {
            Failure::Refused => self.most,
            _ => doubled(self.first, failures, self.most),
        };
        spread(wait, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn a_status_decides_what_comes_next() {
        for (code, failure) in [
            (400, Failure::Refused),
            (401, Failure::Refused),
            (403, Failure::Refused),
            (404, Failure::Gone),
            (409, Failure::Conflict),
            (410, Failure::Gone),
            (422, Failure::Refused),
            (429, Failure::Throttled),
            (500, Failure::Server),
            (503, Failure::Server),
            (504, Failure::Server),
        ] {
            let status = Status { code, ..Status::failure("m", "r") };
            assert_eq!(Failure::of(&kube::Error::Api(status.boxed())), failure, "{code}");
        }
        assert_eq!(Failure::of(&kube::Error::TlsRequired), Failure::Unreachable);
    }

    #[test]
    fn intervals_double_to_a_bound_and_a_refusal_waits_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(5) };
        let after = |failures, failure| backoff.after(failures, failure, 0.5).as_secs();
        let waits = [1, 2, 3, 4, u32::MAX].map(|count| after(count, Failure::Throttled));
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        assert_eq!(after(1, Failure::Refused), 5);
    }
}
