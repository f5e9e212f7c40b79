//! Redirects.

use super::kind::StepKind;
use super::pattern::{Pattern, Replacement};
use std::sync::Arc;

/// A redirect, where it applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where to.
    pub target: RedirectTarget,
    /// With which status.
    pub status: RedirectStatus,
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectTarget {
    /// `redirectScheme`: the same address with another scheme. Nothing is done if it is that one already.
    Scheme {
        /// `scheme`.
        scheme: Arc<str>,
        /// `port`, where it is not the scheme's own.
        port: Option<u16>,
    },
    /// `redirectRegex`: `scheme://host/path?query` after a replacement. Nothing is done if nothing matches.
    Regex {
        /// `regex`.
        regex: Pattern,
        /// `replacement`.
        replacement: Replacement,
    },
    /// `permanent-redirect` and `temporal-redirect` of ingress-nginx: this address for all requests.
    Fixed(Arc<str>),
    /// `app-root` of ingress-nginx: this path for `/` alone.
    Root(Arc<str>),
    /// `from-to-www-redirect` of ingress-nginx: the same address at the other host, with or without `www.`.
    Host(Arc<str>),
}

/// The status of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 302 for GET, 307 for other methods (`permanent: false`).
    Temporary,
    /// 301 for GET, 308 for other methods (`permanent: true`).
    Permanent,
    /// This one for all methods.
    Exactly(http::StatusCode),
}

impl Redirect {
    /// The host that it leads to, if that is all that it changes.
    pub fn host(&self) -> Option<&str> {
        match &self.target {
            RedirectTarget::Host(host) => Some(host),
            _ => None,
        }
    }

    pub(super) fn kind(&self) -> StepKind {
        match self.target {
            RedirectTarget::Scheme { .. } => StepKind::RedirectScheme,
            _ => StepKind::RedirectRegex,
        }
    }
}
