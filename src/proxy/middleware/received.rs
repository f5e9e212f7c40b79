//! What steps ask for of the fields that a request came with.
//!
//! They are read before the request is cleaned, for the steps that prove the way that it came: `Cf-*` fields of peers
//! other than Cloudflare are removed there, `Connection` could name a field to have it removed, and a step that takes a
//! field away would hide it from the next one.

use super::access::Assertion;
use crate::model::NamedStep;
use crate::model::middleware::Step;
use crate::net::fields::Fields;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// `Cf-Worker`: the zone that owns the Worker which sends a request (Cloudflare documentation, "HTTP request headers").
const CF_WORKER: HeaderName = HeaderName::from_static("cf-worker");

/// `CDN-Loop` (RFC 8586).
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// The fields of a request that its steps ask for. Empty, and without allocations, if none does.
#[derive(Debug, Default)]
pub struct Received {
    /// The token of Cloudflare Access.
    pub(super) assertion: Assertion,
    /// Values of `Cf-Worker`.
    pub(super) workers: Vec<HeaderValue>,
    /// Values of `CDN-Loop`.
    pub(super) passes: Vec<HeaderValue>,
    /// Secrets by the name of their field, where there is exactly one.
    secrets: Vec<(HeaderName, HeaderValue)>,
}

impl Received {
    /// Those of a request.
    pub fn of(chain: &[Arc<NamedStep>], headers: &impl Fields) -> Self {
        let mut received = Self::default();
        for named in chain {
            match &named.step {
                Step::Access(_) => received.assertion = Assertion::of(headers),
                Step::WorkerZones(_) if received.workers.is_empty() => {
                    received.workers = headers.get_all(CF_WORKER).cloned().collect();
                }
                Step::CdnPasses(_) if received.passes.is_empty() => {
                    received.passes = headers.get_all(CDN_LOOP).cloned().collect();
                }
                Step::SecretHeader(rule) => {
                    let mut all = headers.get_all(&rule.name);
                    if let (Some(value), None) = (all.next(), all.next()) {
                        let mut value = value.clone();
                        value.set_sensitive(true);
                        received.secrets.push((rule.name.clone(), value));
                    }
                }
                _ => {}
            }
        }
        received
    }

    /// The secret in a field, unless it is missing or there are several.
    pub(super) fn secret(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.secrets.iter().find(|(of, _)| of == name).map(|(_, value)| value)
    }
}
