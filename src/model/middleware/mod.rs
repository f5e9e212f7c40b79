//! Middlewares: the steps that a route asks for, parsed.
//!
//! `control::translate` reads them from Traefik's `Middleware` objects and from annotations (Traefik's, those of
//! ingress-nginx, ours). All of them come to the same [`Step`]s, so that one meaning has one implementation, in
//! `proxy::middleware`. Names, values, networks and regular expressions are parsed here once.

mod access;
mod auth;
mod headers;
mod kind;
mod limit;
mod pages;
mod path;
mod pattern;
mod redirect;
mod response;
mod services;
mod source;
mod zone;

pub use access::AccessRule;
pub use auth::{
    AuthFlavour, AuthService, BasicAuth, Credential, DigestAuth, DigestUser, ForwardAuth,
    ForwardBody, ForwardedTrust, PasswordHash, ShaCrypt, SignIn,
};
pub use headers::{AllowedOrigins, Cors, FieldChange, HeaderRules, Security};
pub use kind::StepKind;
pub use limit::{
    BreakerCondition, CircuitBreaker, InFlightLimit, LimitKey, Operator, Password, RateLimit,
    SharedStore, Signal,
};
pub use pages::{KeptPage, KeptPages};
pub use path::PathRewrite;
pub use pattern::{Pattern, PatternError, Replacement};
pub use redirect::{Redirect, RedirectStatus, RedirectTarget};
pub use response::{
    CertificateHeaders, ClientCertificateFields, Compress, ErrorPages, RetryLimit, StatusRange,
};
pub use services::{
    Failover, FailoverErrors, HashedService, Mirror, Mirroring, ServiceChoice, WeightedService,
    WeightedServices,
};
pub use source::{ClientSelector, Exemption, SourceList, SourceRule};
pub use zone::{PassRule, SecretRule, SecretSource, WorkerRule, is_about, zone_name};

use super::BackendKey;
use std::num::NonZeroU64;
use std::sync::Arc;

/// The steps of a route, in the order in which a request passes them; a response passes them in reverse.
pub type Chain = Arc<[Arc<NamedStep>]>;

/// The host that its last step leads all requests to, if that is what it does (`from-to-www-redirect`).
pub fn leads_to(chain: &Chain) -> Option<&str> {
    match &chain.last()?.step {
        Step::Redirect(redirect) => redirect.host(),
        _ => None,
    }
}

/// One step, and the object that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedStep {
    /// For messages, `explain` and metrics: `default/auth` for an object, or the annotation.
    pub name: Arc<str>,
    /// What is to be done.
    pub step: Step,
}

/// What a middleware does. Field names and defaults are those of `traefik.io/v1alpha1` Middleware, where it has
/// the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `headers`: sets and removes fields, security fields, CORS.
    Headers(Box<HeaderRules>),
    /// `redirectScheme`, `redirectRegex`, and the redirects of ingress-nginx.
    Redirect(Box<Redirect>),
    /// `ipAllowList`, and deny lists.
    Source(Box<SourceRule>),
    /// A step that some addresses need not pass.
    Exempt(Box<Exemption>),
    /// `ravelin.dev/secret-header`: a secret that the operator's zone adds.
    SecretHeader(Box<SecretRule>),
    /// `ravelin.dev/worker-zones`: whose Workers may send requests.
    WorkerZones(Box<WorkerRule>),
    /// `ravelin.dev/max-cdn-passes`: which networks requests may have passed.
    CdnPasses(Box<PassRule>),
    /// `ravelin.dev/access`: a token of Cloudflare Access.
    Access(Box<AccessRule>),
    /// `basicAuth`.
    BasicAuth(Box<BasicAuth>),
    /// `digestAuth`.
    DigestAuth(Box<DigestAuth>),
    /// `forwardAuth`, `auth-url` of ingress-nginx, and AppSec of CrowdSec.
    ForwardAuth(Box<ForwardAuth>),
    /// `stripPrefix`, `stripPrefixRegex`, `addPrefix`, `replacePath`, `replacePathRegex`, `rewrite-target`.
    Path(Box<PathRewrite>),
    /// `rateLimit`, `limit-rps`, `limit-rpm`.
    RateLimit(Box<RateLimit>),
    /// `inFlightReq`, `limit-connections`.
    InFlight(Box<InFlightLimit>),
    /// `buffering.maxRequestBodyBytes`: the largest request body, in bytes. Nothing is buffered.
    BodySize(NonZeroU64),
    /// `compress`.
    Compress(Box<Compress>),
    /// `errors`.
    Errors(Box<ErrorPages>),
    /// `ravelin.dev/error-pages`.
    ErrorPages(KeptPages),
    /// `retry`.
    Retry(Arc<RetryLimit>),
    /// `circuitBreaker`.
    CircuitBreaker(Box<CircuitBreaker>),
    /// `contentType`: with `true`, a response without `Content-Type` gets one from its first bytes.
    ContentType(bool),
    /// `passTLSClientCert`, `ravelin.dev/client-certificate-headers`.
    ClientCertificate(Box<ClientCertificateFields>),
    /// `grpcWeb`: the origins that browsers may call from; `*` for any.
    GrpcWeb(Vec<Arc<str>>),
    /// `noop@internal`: answers 418.
    Noop,
    /// Several Services. It is the last step of a route, and chooses one for each request.
    Services(Box<ServiceChoice>),
}

impl Step {
    /// The kind, in messages.
    pub fn kind(&self) -> &'static str {
        self.step_kind().label()
    }

    /// The kind.
    pub fn step_kind(&self) -> StepKind {
        match self {
            Self::Headers(_) => StepKind::Headers,
            Self::Redirect(redirect) => redirect.kind(),
            Self::Source(_) => StepKind::IpAllowList,
            Self::Exempt(exemption) => exemption.step.step.step_kind(),
            Self::SecretHeader(_) => StepKind::SecretHeader,
            Self::WorkerZones(_) => StepKind::WorkerZones,
            Self::CdnPasses(_) => StepKind::CdnPasses,
            Self::Access(_) => StepKind::Access,
            Self::BasicAuth(_) => StepKind::BasicAuth,
            Self::DigestAuth(_) => StepKind::DigestAuth,
            Self::ForwardAuth(_) => StepKind::ForwardAuth,
            Self::Path(rewrite) => rewrite.kind(),
            Self::RateLimit(_) => StepKind::RateLimit,
            Self::InFlight(_) => StepKind::InFlightReq,
            Self::BodySize(_) => StepKind::Buffering,
            Self::Compress(_) => StepKind::Compress,
            Self::Errors(_) => StepKind::Errors,
            Self::ErrorPages(_) => StepKind::ErrorPages,
            Self::Retry(_) => StepKind::Retry,
            Self::CircuitBreaker(_) => StepKind::CircuitBreaker,
            Self::ContentType(_) => StepKind::ContentType,
            Self::ClientCertificate(fields) => fields.kind(),
            Self::GrpcWeb(_) => StepKind::GrpcWeb,
            Self::Noop => StepKind::Noop,
            Self::Services(_) => StepKind::Services,
        }
    }

    /// The Service that the step itself sends requests to, which has to be among [`super::Model::backends`].
    pub fn backend(&self) -> Option<&BackendKey> {
        match self {
            Self::ForwardAuth(auth) => Some(&auth.service.backend),
            Self::Errors(pages) => Some(&pages.backend),
            Self::Exempt(exemption) => exemption.step.step.backend(),
            Self::RateLimit(limit) => limit.shared.as_ref()?.service.as_ref(),
            _ => None,
        }
    }
}
