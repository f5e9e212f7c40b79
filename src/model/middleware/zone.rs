//! What a request has to show of the way that it came: that it passed the operator's own zone at Cloudflare, and nobody
//! else's.

use crate::model::HostPattern;
use crate::pki::zone_secret::SecretValues;
use http::HeaderName;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

/// Whether a rule for these hosts is about a host; one without hosts is about all of them.
pub fn is_about(hosts: &[HostPattern], host: &str) -> bool {
    hosts.is_empty() || hosts.iter().any(|pattern| pattern.matches(host))
}

/// `ravelin.dev/secret-header`, or `secret_header` of a table `[[zone]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRule {
    /// The field. No pod gets it.
    pub name: HeaderName,
    /// The values, of which it has to have one.
    pub source: SecretSource,
    /// The hosts whose requests need it; all if there are none.
    pub hosts: Vec<HostPattern>,
}

/// Where the values are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A Secret. When it changes, there is another step.
    Values(Arc<SecretValues>),
    /// A file, which is followed.
    File(PathBuf),
}

/// `ravelin.dev/worker-zones`, or `worker_zones` of a table `[[zone]]`: Workers of which zones may send requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRule {
    /// Their zones, in lower case; no Worker may if there are none.
    pub zones: Vec<Box<str>>,
    /// The hosts that it is about; all if there are none.
    pub hosts: Vec<HostPattern>,
}

/// Reads the name of a zone at Cloudflare: a DNS name, returned in lower case.
///
/// # Errors
/// What is wrong with it, in words that follow it.
pub fn zone_name(text: &str) -> Result<Box<str>, &'static str> {
    match HostPattern::parse(Some(text)).map_err(|_| "is not a zone")? {
        HostPattern::Exact(name) => Ok((*name).into()),
        HostPattern::Wildcard(_) | HostPattern::Any => Err("is not a zone"),
    }
}

/// `ravelin.dev/max-cdn-passes`, or `max_cdn_passes` of a table `[[zone]]`: which other networks a request may have
/// passed on its way, by `CDN-Loop` (RFC 8586).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassRule {
    /// How often it may have passed Cloudflare. It may have passed no other network.
    pub most: NonZeroU32,
    /// The hosts that it is about; all if there are none.
    pub hosts: Vec<HostPattern>,
}
