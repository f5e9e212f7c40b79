//! What keeps a cluster from being served, in the order in which to fix it: for the first minutes of an
//! installation. Nothing is said as long as one route can be answered: what is wrong with the others is told of them.
//!
//! Pure, like the rest of the translation. While nothing is served it reads every object; otherwise it stops at the
//! first backend with an endpoint.

mod class;
mod defaults;
mod endpoints;
mod node_ports;

use super::Options;
use super::findings::Findings;
use crate::control::objects::{Object, Objects};
use crate::model::middleware::Step;
use crate::model::{
    BackendState, Diagnostic, EndpointState, Kind, Model, ObjectRef, Severity, Why,
};
use crate::net::beginning::beginning;
use std::collections::BTreeMap;

/// Sorts of findings that are told as obstacles: those behind them are told by the findings alone.
const MOST_SORTS: usize = 4;

/// The most bytes of what one obstacle says, so that an Event (1024 bytes) has room for the first ones.
const MOST_BYTES: usize = 400;

/// The class that is named where none is configured.
const OUR_CLASS: &str = "ravelin";

/// What the guidance depends on beside the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guidance {
    /// The TCP ports of the node that listeners have.
    pub ports: Vec<u16>,
    /// The namespaces that are read; all of them if empty.
    pub namespaces: Vec<String>,
}

/// Something that keeps a cluster from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What is missing or in the way, in one clause.
    pub missing: String,
    /// The fix, with its command in backquotes.
    pub fix: String,
}

impl Obstacle {
    fn new(missing: String, fix: String) -> Self {
        Self { missing: cut(missing), fix }
    }
}

/// What is in the way, the first to fix first; empty if something is served.
pub(super) fn obstacles(
    objects: &Objects,
    model: &Model,
    findings: &Findings,
    options: &Options,
) -> Vec<Obstacle> {
    let Some(guidance) = options.guidance.as_ref().filter(|_| !is_serving(model)) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    all.extend(class::class(objects, options));
    if model.ingresses.is_empty() {
        all.push(class::routes(objects, options, guidance));
    }
    all.extend(errors(findings));
    all.extend(endpoints::endpoints(objects, model));
    let taken = findings.iter().find(|finding| finding.why == Why::PortTaken);
    all.extend(taken.map(|finding| Obstacle::new(sentence(finding), finding.fix.clone())));
    all
}

/// Whether a change of an object may change what [`around`] finds.
pub(super) fn concerns(before: Option<&Object>, now: Option<&Object>) -> bool {
    let mut both = before.into_iter().chain(now);
    both.any(|object| match object {
        Object::Node(_) | Object::IngressClass(_) => true,
        Object::Service(service) => node_ports::is_balanced(service),
        _ => false,
    })
}

/// What else in the cluster keeps requests from us.
pub(super) fn around(objects: &Objects, options: &Options) -> Vec<Diagnostic> {
    let Some(guidance) = &options.guidance else {
        return Vec::new();
    };
    let mut found = node_ports::taken_ports(objects, options, &guidance.ports);
    found.extend(defaults::two_defaults(objects));
    found
}

/// The finding that Events and the status page have: about the class, which is what serves nothing.
pub(super) fn finding(obstacles: &[Obstacle], options: &Options) -> Option<Diagnostic> {
    let numbered = |text: fn(&Obstacle) -> &str| {
        let each = obstacles.iter().enumerate();
        let each = each.map(|(at, obstacle)| match obstacles.len() {
            1 => text(obstacle).to_owned(),
            _ => format!("({}) {}", at + 1, text(obstacle)),
        });
        each.collect::<Vec<_>>().join("; ")
    };
    (!obstacles.is_empty()).then(|| Diagnostic {
        severity: Severity::Warning,
        object: ObjectRef::new(Kind::IngressClass, "", class_name(options)),
        field: String::new(),
        why: Why::NothingServed,
        reason: format!("no route is served: {}", numbered(|obstacle| &obstacle.missing)),
        fix: numbered(|obstacle| &obstacle.fix),
    })
}

fn class_name(options: &Options) -> &str {
    let configured = Some(options.ingress_class.as_str()).filter(|name| !name.is_empty());
    configured.unwrap_or(OUR_CLASS)
}

/// Whether a request can be answered by anything but an error of ours.
fn is_serving(model: &Model) -> bool {
    let has_endpoint = model.backends.iter().any(|backend| match &backend.state {
        BackendState::Resolved(endpoints) => {
            endpoints.iter().any(|endpoint| endpoint.state != EndpointState::NotReady)
        }
        BackendState::Named(_) => true,
        BackendState::Broken(_) => false,
    });
    let answers = |step: &Step| matches!(step, Step::Redirect(_) | Step::Noop);
    has_endpoint
        || model.rules.iter().any(|rule| {
            let steps = rule.middlewares.iter().flat_map(|chain| chain.iter());
            steps.last().is_some_and(|last| answers(&last.step))
        })
}

/// Whether an object, or a part of one, is not served.
pub(super) fn has_errors(findings: &Findings) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Of each sort of error the first, and how many more there are.
fn errors(findings: &Findings) -> Vec<Obstacle> {
    let mut sorts: Vec<(Why, Kind, &Diagnostic)> = Vec::new();
    let mut counts: BTreeMap<(Why, Kind), usize> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
        let (why, kind) = (finding.why, finding.object.kind);
        let count = counts.entry((why, kind)).or_default();
        *count += 1;
        if *count == 1 && sorts.len() < MOST_SORTS {
            sorts.push((why, kind, finding));
        }
    }
    let obstacle = |(why, kind, finding): (Why, Kind, &Diagnostic)| {
        let more = match counts[&(why, kind)] - 1 {
            0 => String::new(),
            more => format!(", and {more} more like it"),
        };
        Obstacle::new(sentence(finding) + &more, with_command(finding))
    };
    sorts.into_iter().map(obstacle).collect()
}

/// `Ingress shop/web: field: reason`.
fn sentence(finding: &Diagnostic) -> String {
    let Diagnostic { object, field, reason, .. } = finding;
    match field.is_empty() {
        true => format!("{object}: {reason}"),
        false => format!("{object}: {field}: {reason}"),
    }
}

/// The fix, and the command that shows what is there.
fn with_command(finding: &Diagnostic) -> String {
    let Diagnostic { object, why, fix, .. } = finding;
    let ObjectRef { kind, namespace, name } = object;
    let scope = match namespace.is_empty() {
        true => String::new(),
        false => format!("-n {namespace} "),
    };
    let command = match why {
        Why::ServiceMissing | Why::PortMissing => format!("kubectl {scope}get services"),
        Why::SecretUnusable => format!("kubectl {scope}get secrets"),
        _ => {
            format!("kubectl {scope}describe {} {name}", kind.as_str().to_ascii_lowercase())
        }
    };
    match fix.is_empty() {
        true => format!("see `{command}`"),
        false => format!("{fix}; see `{command}`"),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_BYTES {
        text.truncate(beginning(&text, MOST_BYTES).len());
        text.push_str("...");
    }
    text
}
