//! The token of a request, as the client sent it.
//!
//! A token proves itself, also if it comes through another proxy (`cloudflared` in the cluster). Routes without the step
//! never get it.

use crate::net::fields::Fields;
use http::{HeaderName, HeaderValue};

/// The field of the token (Cloudflare One, "Validate JWTs").
pub(super) const ASSERTION: HeaderName = HeaderName::from_static("cf-access-jwt-assertion");

/// What a request has of a token.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy::middleware) enum Assertion {
    /// Nothing, or nobody has asked.
    #[default]
    Missing,
    /// One.
    One(HeaderValue),
    /// The field more than once.
    Several,
}

impl Assertion {
    /// That of a request.
    pub(in crate::proxy::middleware) fn of(headers: &impl Fields) -> Self {
        let mut all = headers.get_all(ASSERTION);
        match (all.next(), all.next()) {
            (None, _) => Self::Missing,
            (Some(token), None) => {
                let mut token = token.clone();
                // It is as good as a password.
                token.set_sensitive(true);
                Self::One(token)
            }
            (Some(_), Some(_)) => Self::Several,
        }
    }
}
