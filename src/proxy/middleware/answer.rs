//! The answer of a step, in place of the pod's.

use crate::error::Reason;
use crate::net::fields::{FieldMap, Fields};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use std::time::Duration;

/// An answer of a step: that of its reason, with what the step has of its own.
#[derive(Debug)]
pub struct StepAnswer {
    /// Why; for log and metrics, and for the text if there is no other body.
    pub reason: Reason,
    /// The status, where it is another than the reason's.
    pub status: Option<StatusCode>,
    /// Fields beside those of every answer of ours; they replace those of the same name.
    pub headers: FieldMap,
    /// The body, where it is another than the reason's text.
    pub body: Option<Bytes>,
}

impl From<Reason> for Box<StepAnswer> {
    fn from(reason: Reason) -> Self {
        Box::new(StepAnswer::of(reason))
    }
}

impl StepAnswer {
    /// That of a reason.
    pub fn of(reason: Reason) -> Self {
        Self { reason, status: None, headers: FieldMap::new(), body: None }
    }

    /// With this status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// With a field.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// With when to come again, in whole seconds (RFC 9110 section 10.2.3).
    pub fn with_retry_after(self, left: Duration) -> Self {
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// With this body.
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| self.reason.status())
    }
}
