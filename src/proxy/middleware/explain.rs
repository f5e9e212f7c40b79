//! What the steps of a route would do to one request, for `explain`.

use super::{RequestView, StepAnswer, Stop, on_request};
use crate::model::NamedStep;
use crate::model::middleware::{SecretSource, Step};
use crate::net::fields::{FieldMap, Fields};
use http::HeaderName;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One step, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The middleware.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// What becomes of the request.
    pub effect: String,
}

/// Runs the request halves of the steps. One that has to ask somebody lets the request pass, and its effect says
/// so. Returns the answer as well, if a step answers. `knows_client`: whether the request names an address to
/// compare.
pub fn explain(
    chain: &[Arc<NamedStep>],
    request: &mut RequestView<'_>,
    knows_client: bool,
) -> (Vec<StepReport>, Option<Box<StepAnswer>>) {
    let mut reports = Vec::new();
    for middleware in chain {
        if let Some(effect) = unknown_here(&middleware.step, request, knows_client) {
            let (name, kind) = (Arc::clone(&middleware.name), middleware.step.kind());
            reports.push(StepReport { name, kind, effect });
            request.passage.pass();
            continue;
        }
        let (path, headers) = (request.request.uri().clone(), request.request.headers().clone());
        let stopped = on_request(middleware, request);
        let mut report = |effect: String| {
            let (name, kind) = (Arc::clone(&middleware.name), middleware.step.kind());
            reports.push(StepReport { name, kind, effect });
        };
        match stopped {
            Ok(()) => {
                let mut effects = Vec::new();
                if *request.request.uri() != path {
                    effects.push(format!("path becomes {}", request.request.uri()));
                }
                effects.extend(differences(&headers, request.request.headers()));
                report(if effects.is_empty() { "passes".to_owned() } else { effects.join("; ") });
            }
            Err(Stop::Wait) => report(format!("asks {}", asked(&middleware.step))),
            Err(Stop::StepAnswer(answer)) => {
                let location = answer.headers.get(http::header::LOCATION);
                let location = location.and_then(|location| location.to_str().ok());
                let location = location.map(|to| format!(", to {to}")).unwrap_or_default();
                let (status, label) = (answer.status().as_u16(), answer.reason.label());
                report(format!("answers {status} {label}{location}"));
                return (reports, Some(answer));
            }
        }
        request.passage.pass();
    }
    (reports, None)
}

/// What a step would compare with that is not known here, if so.
fn unknown_here(step: &Step, request: &RequestView<'_>, knows_client: bool) -> Option<String> {
    match step {
        Step::Source(_) | Step::Exempt(_) if !knows_client => {
            Some("compares the client's address: give --from".to_owned())
        }
        Step::SecretHeader(rule) => match &rule.source {
            SecretSource::File(path) if request.origin.is_for(&rule.hosts) => {
                request.passage.received.secret(&rule.name)?;
                Some(format!("compares {} with the values in {path:?}", rule.name))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whom a step asks.
fn asked(step: &Step) -> String {
    match step {
        Step::Exempt(exemption) => asked(&exemption.step.step),
        Step::ForwardAuth(auth) => {
            format!("{}, which decides when the request comes", auth.service.uri)
        }
        Step::Access(rule) => {
            format!("for the keys of {}, which verify the token when the request comes", rule.team)
        }
        Step::BasicAuth(_) | Step::DigestAuth(_) => "for credentials, which are checked".to_owned(),
        Step::RateLimit(_) => "the shared store, which counts".to_owned(),
        _ => "when the request comes".to_owned(),
    }
}

/// Fields that have come, changed or gone, without their values: some are secret.
fn differences(before: &FieldMap, after: &FieldMap) -> impl Iterator<Item = String> {
    let names: BTreeSet<&str> =
        before.names().chain(after.names()).map(HeaderName::as_str).collect();
    let texts = names.into_iter().filter_map(|name| {
        let values = |headers: &FieldMap| headers.get_all(name).cloned().collect::<Vec<_>>();
        match (values(before), values(after)) {
            (old, new) if old == new => None,
            (_, new) if new.is_empty() => Some(format!("removes {name}")),
            _ => Some(format!("sets {name}")),
        }
    });
    texts.collect::<Vec<_>>().into_iter()
}
