//! `headers`.

use super::pattern::Pattern;
use http::{HeaderName, HeaderValue};

/// `headers` of a Middleware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// `customRequestHeaders`, in the order of their names.
    pub request: Vec<FieldChange>,
    /// The value of `Host` among `customRequestHeaders`.
    pub host: Option<HeaderValue>,
    /// `customResponseHeaders`.
    pub response: Vec<FieldChange>,
    /// `accessControl*`, if any is set.
    pub cors: Option<Cors>,
    /// The security fields.
    pub security: Security,
}

/// What becomes of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub name: HeaderName,
    /// Its only value from then on; `None` removes it.
    pub value: Option<HeaderValue>,
}

/// Cross-origin resource sharing (Fetch standard, CORS protocol).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// `accessControlAllowOriginList` and `accessControlAllowOriginListRegex`.
    pub origins: AllowedOrigins,
    /// `accessControlAllowCredentials`.
    pub credentials: bool,
    /// `accessControlAllowMethods`, joined by commas.
    pub methods: Option<HeaderValue>,
    /// `accessControlAllowHeaders`, joined by commas.
    pub headers: Option<HeaderValue>,
    /// `accessControlExposeHeaders`, joined by commas.
    pub expose: Option<HeaderValue>,
    /// `accessControlMaxAge`, in seconds.
    pub max_age: Option<HeaderValue>,
    /// `addVaryHeader`: the answer says that it depends on `Origin`.
    pub vary: bool,
    /// What a preflight is answered with: 200 by Traefik, 204 by ingress-nginx.
    pub preflight: http::StatusCode,
}

/// AllowedOrigins that may read answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    /// Any.
    pub any: bool,
    /// These.
    pub list: Vec<HeaderValue>,
    /// Those that one of these matches.
    pub patterns: Vec<Pattern>,
}

/// Security fields of responses, and what requests have to be for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Fields that replace the pod's.
    pub fields: Vec<FieldChange>,
    /// `Strict-Transport-Security`, for visitors with TLS.
    pub hsts: Option<HeaderValue>,
    /// `forceSTSHeader`: for all visitors.
    pub hsts_always: bool,
    /// `allowedHosts`: other hosts get 500, as from Traefik. Empty for all.
    pub allowed_hosts: Vec<Box<str>>,
}
