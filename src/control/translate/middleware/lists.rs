//! The annotations that name Middlewares, in the order in which they are to be passed.

use crate::control::quote::quote;
use crate::control::translate::annotations::{Annotations, IGNORE};
use crate::control::translate::report::Problem;
use crate::model::Why;
use k8s_openapi::api::core::v1::Service;

/// Traefik's, on an Ingress.
pub(in crate::control::translate) const ROUTER: &str =
    "traefik.ingress.kubernetes.io/router.middlewares";
/// Traefik's, on a Service: they come behind those of the Ingress.
pub(in crate::control::translate) const SERVICE: &str =
    "traefik.ingress.kubernetes.io/service.middlewares";
/// Names of Middlewares, or `namespace/name`, on an Ingress.
pub(in crate::control::translate) const OWN: &str = "ravelin.dev/middlewares";

/// What references to objects of Traefik's CRD provider end with.
const PROVIDER: &str = "kubernetescrd";

/// What one value of a list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// By Traefik's id: namespace and name, in which everything but letters and digits is a `-`.
    Id(&'a str),
    /// By namespace and name.
    Object(Option<&'a str>, &'a str),
    /// `noop@internal`: answers 418.
    Noop,
}

/// The name of an object, and its namespace if it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control::translate) struct Reference<'o> {
    pub(in crate::control::translate) namespace: Option<&'o str>,
    pub(in crate::control::translate) name: &'o str,
}

/// The id of a Middleware or another object in references of Traefik (`provider.Normalize`). Never split: of `a-b-c` nobody knows
/// where the namespace ends.
pub fn id(namespace: &str, name: &str) -> String {
    let normal = |c: char| if c.is_alphanumeric() { c } else { '-' };
    format!("{namespace}-{name}").chars().map(normal).collect()
}

/// The values of a list of Traefik.
pub(super) fn of_traefik<'a>(
    annotations: Annotations<'a>,
    annotation: &str,
) -> Vec<Result<Named<'a>, Problem>> {
    annotations.list(annotation).into_iter().map(traefik).collect()
}

pub(super) fn traefik(value: &str) -> Result<Named<'_>, Problem> {
    let refuse = |reason: String, fix: String| {
        Err(Problem::error(Why::MiddlewareUnusable, "", format!("{} {reason}", quote(value)), fix))
    };
    match value.rsplit_once('@') {
        Some((id, PROVIDER)) if !id.is_empty() => Ok(Named::Id(id)),
        Some(("noop", "internal")) => Ok(Named::Noop),
        Some((_, "file")) => refuse(
            "is in a file of Traefik's, which is not read".to_owned(),
            "write it as a Middleware object, and name it NAMESPACE-NAME@kubernetescrd".to_owned(),
        ),
        Some((_, "internal")) => {
            refuse("is one of Traefik's own, which are not run".to_owned(), "remove it".to_owned())
        }
        Some((_, provider)) => refuse(
            format!("is of the provider {}, which is not read", quote(provider)),
            "name a Middleware object: NAMESPACE-NAME@kubernetescrd".to_owned(),
        ),
        None => refuse(
            "has no provider: Traefik finds no Middleware either".to_owned(),
            "write NAMESPACE-NAME@kubernetescrd".to_owned(),
        ),
    }
}

/// The values of our own list.
pub(super) fn of_ours<'a>(annotations: Annotations<'a>) -> Vec<Result<Named<'a>, Problem>> {
    let ours = |value: &'a str| match value.split_once('/') {
        _ if value.contains('@') => {
            let reason = format!("{} has a provider", quote(value));
            let fix = "write the name of a Middleware, or NAMESPACE/NAME";
            Err(Problem::error(Why::MiddlewareUnusable, "", reason, fix))
        }
        None => Ok(Named::Object(None, value)),
        Some((namespace, name)) => Ok(Named::Object(Some(namespace), name)),
    };
    annotations.list(OWN).into_iter().map(ours).collect()
}

/// Whether two states of a Service name other Middlewares.
pub(in crate::control::translate) fn are_other(
    before: Option<&Service>,
    now: Option<&Service>,
) -> bool {
    let lists = |service: Option<&Service>| {
        let annotations = Annotations::of(&service?.metadata);
        let list = annotations.get(SERVICE)?;
        Some((list.to_owned(), annotations.get(IGNORE).map(str::to_owned)))
    };
    lists(before) != lists(now)
}
