//! Middlewares: what routes ask to be done with requests and responses, from objects of Traefik and from
//! annotations, to the plain [`Step`]s of [`crate::model::middleware`].
//!
//! One file a kind: it reads the fields of that kind, with Traefik's defaults, and tells each mistake with its
//! field. [`Middlewares`] keeps what was read, each object once, and knows which Ingresses name it. A list that names
//! something that is missing or unusable is never shortened: its routes keep their place and answer 503.

mod address;
mod annotated;
mod breaker;
mod chain;
mod client_certificate;
mod cors;
mod credentials;
mod error_pages;
mod fields;
mod forward_auth;
mod go_duration;
mod headers;
mod htpasswd;
mod kept;
mod limits;
mod lists;
mod path;
mod redirect;
mod redis;
mod refused;
mod resolve;
mod response;
mod retry;
mod secret_header;
mod source;
#[cfg(test)]
mod tests;
mod texts;

pub(in crate::control) use annotated::config_maps_of as annotated_config_maps;
pub(in crate::control) use annotated::secrets_of as annotated_secrets;
pub(super) use annotated::{OWN_STEPS, RESTRICTING_STEPS, Subject, read as read_annotated};
pub(super) use fields::Fields;
pub use go_duration::parse as go_duration;
pub(super) use kept::{Changed, Dependency, Middlewares, Reading};
pub use lists::id as object_id;
pub(super) use lists::{OWN as OWN_LIST, ROUTER as ROUTER_LIST, SERVICE as SERVICE_LIST};
pub(super) use lists::{Reference, are_other as are_other_lists};
pub(super) use resolve::{AskedBy, Asking, Resolved, StepBackend, UsedBackend};
pub(super) use source::networks;
pub(super) use texts::status_ranges;

use super::report::Report;
use crate::config::MiddlewarePolicy;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::model::middleware::Step;
use crate::model::{BackendKey, BackendState, Diagnostic, Kind, ObjectRef, Protocol, Why};
use chain::Member;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Namespace and name.
type Name = (Arc<str>, Arc<str>);

/// Another object whose content or existence a Middleware depends on.
type Need = (Kind, Name);

/// Reads the fields of one kind. Nothing if there is nothing to be done, or if a mistake was told.
type Reader = fn(&mut Fields<'_, '_, '_>, &mut Context<'_>) -> Option<Step>;

/// The kinds, by the key in `spec`.
const KINDS: [(&str, Reader); 25] = [
    ("addPrefix", |fields, _| path::add_prefix(fields)),
    ("basicAuth", credentials::basic),
    ("buffering", |fields, _| response::buffering(fields)),
    ("circuitBreaker", |fields, _| breaker::read(fields)),
    ("compress", |fields, _| response::compress(fields)),
    ("contentType", |fields, _| response::content_type(fields)),
    ("digestAuth", credentials::digest),
    ("encodedCharacters", |fields, _| refused::encoded_characters(fields)),
    ("errors", error_pages::read),
    ("forwardAuth", forward_auth::read),
    ("grpcWeb", |fields, _| client_certificate::grpc_web(fields)),
    ("headers", |fields, _| headers::read(fields)),
    ("inFlightReq", |fields, _| limits::in_flight(fields)),
    ("ipAllowList", |fields, _| source::allow_list(fields)),
    ("ipWhiteList", |fields, _| source::white_list(fields)),
    ("passTLSClientCert", |fields, _| client_certificate::pass(fields)),
    ("plugin", |fields, _| refused::plugin(fields)),
    ("rateLimit", limits::rate),
    ("redirectRegex", |fields, _| redirect::regex(fields)),
    ("redirectScheme", |fields, _| redirect::scheme(fields)),
    ("replacePath", |fields, _| path::replace_path(fields)),
    ("replacePathRegex", |fields, _| path::replace_path_regex(fields)),
    ("retry", |fields, _| retry::read(fields)),
    ("stripPrefix", |fields, _| path::strip_prefix(fields)),
    ("stripPrefixRegex", |fields, _| path::strip_prefix_regex(fields)),
];

/// The key of a list of other Middlewares.
const CHAIN: &str = "chain";

/// The Middleware that is read, and what its reader may look at.
struct Context<'c> {
    /// Nothing where the Middleware alone is judged.
    objects: Option<&'c Objects>,
    policy: MiddlewarePolicy,
    namespace: &'c Arc<str>,
    name: &'c Arc<str>,
    needs: BTreeSet<Need>,
    backend: Option<OwnBackend>,
}

impl<'c> Context<'c> {
    fn new(
        objects: Option<&'c Objects>,
        policy: MiddlewarePolicy,
        namespace: &'c Arc<str>,
        name: &'c Arc<str>,
    ) -> Self {
        Self { objects, policy, namespace, name, needs: BTreeSet::new(), backend: None }
    }

    /// A Secret of its namespace, if it is there. Nothing where nothing is looked up.
    fn secret(&mut self, name: &str) -> Option<Option<Arc<Secret>>> {
        self.needs.insert((Kind::Secret, (Arc::clone(self.namespace), name.into())));
        Some(self.objects?.secrets().get(self.namespace, name).cloned())
    }
}

/// A backend that only a Middleware has: an address outside of the cluster, or TLS settings of its own.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control::translate) struct OwnBackend {
    pub(in crate::control::translate) key: BackendKey,
    pub(in crate::control::translate) state: BackendState,
    pub(in crate::control::translate) protocol: Protocol,
}

/// The result of reading one Middleware.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    /// Nothing is to be done.
    Nothing,
    Step(Step),
    Chain(Vec<Member>),
    /// It cannot be used, which has been told.
    Unusable,
}

/// What was read of one Middleware.
struct Read {
    content: Content,
    backend: Option<OwnBackend>,
    needs: BTreeSet<Need>,
}

/// Reads a Middleware, and reports its own mistakes.
fn read(
    objects: &Objects,
    policy: MiddlewarePolicy,
    name: &Name,
    source: &TraefikObject,
    findings: &mut Vec<Diagnostic>,
) -> Read {
    let mut context = Context::new(Some(objects), policy, &name.0, &name.1);
    let object = object_ref(name);
    let mut report = Report::new(&object, findings);
    let content = content(&source.spec, &mut context, &mut report);
    Read { content, backend: context.backend, needs: context.needs }
}

/// Reads a Middleware for what is wrong with it alone.
pub(super) fn check(source: &TraefikObject, report: &mut Report<'_>) {
    let (namespace, name) = (Arc::default(), Arc::default());
    let mut context = Context::new(None, MiddlewarePolicy::AnyNamespace, &namespace, &name);
    content(&source.spec, &mut context, report);
}

fn content(spec: &Value, context: &mut Context<'_>, report: &mut Report<'_>) -> Content {
    let kinds = KINDS.into_iter().map(|(kind, _)| kind).chain([CHAIN]);
    let mut fields = Fields::new("spec", spec, report);
    let keys = fields.keys();
    let key = match keys[..] {
        [key] => key,
        [] => {
            fields.refuse("", "has no kind", "add one, such as `headers`");
            return Content::Unusable;
        }
        _ => {
            let all: Vec<String> = keys.into_iter().map(quote).collect();
            let reason = format!("has several kinds: {}", all.join(", "));
            fields.refuse("", reason, "write a Middleware for each, and name them in their order");
            return Content::Unusable;
        }
    };
    let known = KINDS.into_iter().find(|(kind, _)| *kind == key);
    if known.is_none() && key != CHAIN {
        let fix = match nearest(key, kinds) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "use a kind of Traefik 3".to_owned(),
        };
        fields.refuse_for(Why::Unsupported, key, "is not a kind of Middleware", fix);
        return Content::Unusable;
    }
    let null = Value::Null;
    let value = spec.get(key).unwrap_or(&null);
    let mut fields = Fields::new(&format!("spec.{key}"), value, report);
    let Some((_, reader)) = known else {
        let members = chain::read(&mut fields);
        return if fields.is_broken() { Content::Unusable } else { Content::Chain(members) };
    };
    let step = reader(&mut fields, context);
    match step {
        _ if fields.is_broken() => Content::Unusable,
        Some(step) => Content::Step(step),
        None => Content::Nothing,
    }
}

fn object_ref(of: &Name) -> ObjectRef {
    let (namespace, name) = (Arc::clone(&of.0), Arc::clone(&of.1));
    ObjectRef { kind: Kind::Middleware, namespace, name }
}

/// The Secrets that the specification of a Middleware names, in its namespace.
pub(in crate::control) fn secrets_of(spec: &Value) -> Vec<&str> {
    const PLACES: [&str; 7] = [
        "/basicAuth/secret",
        "/digestAuth/secret",
        "/forwardAuth/tls/caSecret",
        "/forwardAuth/tls/certSecret",
        "/rateLimit/redis/secret",
        "/rateLimit/redis/tls/caSecret",
        "/rateLimit/redis/tls/certSecret",
    ];
    let named = PLACES.into_iter().filter_map(|place| spec.pointer(place)?.as_str());
    named.filter(|name| !name.is_empty()).collect()
}
