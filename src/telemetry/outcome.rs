//! How a request ended, as it is counted.

use super::tls::{TlsSuite, TlsVersion};
use super::traces::TraceId;
use super::traefik::RequestProtocol;
use crate::error::{Reason, labels};
use http::{Method, StatusCode};
use std::time::Duration;

labels! { fn as_str;
    /// Request methods as a closed set.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum MethodLabel {
        /// GET
        Get = "GET",
        /// HEAD
        Head = "HEAD",
        /// POST
        Post = "POST",
        /// PUT
        Put = "PUT",
        /// PATCH
        Patch = "PATCH",
        /// DELETE
        Delete = "DELETE",
        /// OPTIONS
        Options = "OPTIONS",
        /// Any other, and requests without a readable method.
        Other = "other",
    }
}

impl MethodLabel {
    /// The label of a method.
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Its method.
    pub method: MethodLabel,
    /// The status sent.
    pub status: StatusCode,
    /// What it was.
    pub protocol: RequestProtocol,
    /// Whether its Service was asked, or has nobody to ask.
    pub is_asked: bool,
    /// Why it was not the pod's answer, whole.
    pub reason: Option<Reason>,
    /// From the request head to the last byte of the answer.
    pub duration: Duration,
    /// From sending upstream to the upstream's response head, where there was one.
    pub upstream: Option<Duration>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// The TLS that it came in, if any.
    pub tls: Option<(TlsVersion, TlsSuite)>,
    /// How often it was sent again.
    pub retries: u32,
    /// Its trace, if it is traced.
    pub trace_id: Option<TraceId>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request that went well.
    pub(in crate::telemetry) fn outcome(duration: Duration, trace_id: Option<TraceId>) -> Outcome {
        Outcome {
            method: MethodLabel::Get,
            status: StatusCode::OK,
            protocol: RequestProtocol::Http,
            is_asked: true,
            reason: None,
            duration,
            upstream: None,
            bytes_in: 0,
            bytes_out: 0,
            tls: None,
            retries: 0,
            trace_id,
        }
    }
}
