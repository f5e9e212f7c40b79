//! Why a part of a zone was not read.

use crate::control::cloudflare::fetch::FetchError;
use crate::telemetry::ListFailure;
use http::StatusCode;
use std::time::Duration;

/// Why the API did not give what was asked for. No text of the API is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneReadError {
    /// 401 or 403.
    #[error("the token may not read it (status {})", .0.as_u16())]
    Forbidden(StatusCode),
    /// Another status than 200.
    #[error("the API answered with status {}", .0.as_u16())]
    Status(StatusCode),
    /// 429, and waiting did not help or would take too long.
    #[error("the API limits the rate of requests; {}", wait(*.0))]
    Limited(Option<Duration>),
    /// No connection, or no answer in time.
    #[error("the API cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is too large, compressed, or breaks off.
    #[error("the answer cannot be used: {0}")]
    Unusable(String),
    /// The answer is none of the API.
    #[error("the answer is not JSON of Cloudflare's API (line {0})")]
    Json(usize),
    /// `success` is not true, or `result` is missing.
    #[error("the answer has no result")]
    NoResult,
    /// The bound on pages.
    #[error("the list has more than {0} pages")]
    TooManyPages(u32),
    /// The bound on requests.
    #[error("{0} requests were sent, which is the most in one run")]
    TooManyRequests(u32),
}

fn wait(after: Option<Duration>) -> String {
    match after {
        Some(after) => format!("run this again in {} s", after.as_secs()),
        None => "run this again in 5 minutes".to_owned(),
    }
}

impl ZoneReadError {
    /// Whether further requests would fail likewise.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Limited(_) | Self::Unreachable(_) | Self::TooManyRequests(_))
    }
}

impl From<FetchError> for ZoneReadError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Limited(after) => Self::Limited(after),
            FetchError::Status(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                Self::Forbidden(status)
            }
            FetchError::Status(status) => Self::Status(status),
            FetchError::Failed(
                ListFailure::TooLarge | ListFailure::Encoded | ListFailure::Http,
                words,
            ) => Self::Unusable(words),
            FetchError::Failed(_, words) => Self::Unreachable(words),
        }
    }
}
