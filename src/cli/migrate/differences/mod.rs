//! What differs between Traefik and ravelin, and of which routes each difference holds: `differences.toml`, which the
//! test beside a real Traefik (`tests/traefik`) keeps true.

use super::pattern::{any, like};
use super::subject::{StepView, Subject, Trait};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const FILE: &str = include_str!("../differences.toml");

/// Something in which ravelin differs. `cases` of the file are for the test.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::cli) struct Difference {
    /// Stable.
    pub(in crate::cli) id: String,
    pub(super) side: Side,
    /// What Traefik does, and what ravelin does.
    pub(in crate::cli) what: String,
    pub(in crate::cli) why: String,
    /// Whether it holds for every route.
    #[serde(default)]
    pub(in crate::cli) everywhere: bool,
    /// Whether visitors meet it with unusual requests alone.
    #[serde(default)]
    pub(in crate::cli) seldom: bool,
    /// It holds for routes that one of these holds for.
    #[serde(default, skip_serializing)]
    when: Vec<Condition>,
    /// How it shows.
    #[serde(flatten, skip_serializing)]
    signs: Signs,
}

/// What answers are like where a difference shows.
#[derive(Debug, Deserialize)]
struct Signs {
    /// Patterns of the items that differ: `status`, `answer.field.NAME`, `answer.body`.
    items: Vec<String>,
    /// Patterns of their values.
    traefik: Option<String>,
    ravelin: Option<String>,
    /// Patterns of the statuses of both answers.
    statuses: Option<Statuses>,
    /// Whether ravelin answers itself, in the place of a pod.
    #[serde(default)]
    own: bool,
}

#[derive(Debug, Deserialize)]
struct Statuses {
    traefik: String,
    ravelin: String,
}

/// An item in which two answers differ, and what is known of the answers.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Sighting<'s> {
    pub(in crate::cli) item: &'s str,
    pub(in crate::cli) traefik: &'s str,
    pub(in crate::cli) ravelin: &'s str,
    /// Statuses of Traefik and of ravelin.
    pub(in crate::cli) statuses: [&'s str; 2],
    /// Whether ravelin has answered itself.
    pub(in crate::cli) is_own: bool,
}

/// How the values of some items are compared.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Compared {
    items: Vec<String>,
    #[serde(rename = "as")]
    pub(in crate::cli) form: Form,
}

/// The ways to compare values that are never the same bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Form {
    /// Not at all.
    Ignored,
    /// As a set of elements between commas, in any case.
    List,
    /// Without nonce and opaque.
    Challenge,
    /// As times, some seconds apart at most.
    Seconds,
}

impl Compared {
    pub(in crate::cli) fn covers(&self, item: &str) -> bool {
        any(&self.items, item)
    }
}

/// What a difference means for those who change from Traefik.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    /// ravelin refuses or removes what Traefik lets through.
    Stricter,
    /// ravelin does it on purpose in another way.
    Otherwise,
    /// Nobody can tell, or need care.
    Cosmetic,
    /// ravelin does not do it yet, and serves the route nevertheless.
    Unfinished,
}

impl Side {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stricter => "stricter",
            Self::Otherwise => "otherwise",
            Self::Cosmetic => "cosmetic",
            Self::Unfinished => "unfinished",
        }
    }
}

/// Holds for a route of which all keys hold; a key that is not there holds always. Lists are alternatives, and all
/// texts are patterns, in which `*` stands for any text; behind `=` they are texts as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Condition {
    /// A middleware of one of these kinds is on the route, of which `fields`, `not_fields` and `without` hold.
    middleware: Vec<String>,
    /// Fields that are there, with their values.
    fields: BTreeMap<String, String>,
    /// Fields that have other values, or are not there.
    not_fields: BTreeMap<String, String>,
    /// Fields that are not there.
    without: Vec<String>,
    /// Another middleware of one of these kinds is on the route, too.
    beside: Vec<String>,
    /// An annotation of the Ingress has one of these names, of which the next three hold.
    annotation: Vec<String>,
    /// The same of the Service.
    service_annotation: Vec<String>,
    not_annotation: Vec<String>,
    value: Vec<String>,
    not_value: Vec<String>,
    /// Type and path of the rule.
    path_type: Vec<String>,
    path: Vec<String>,
    not_path: Vec<String>,
    /// Fields of the route of an IngressRoute, with their values.
    route: BTreeMap<String, String>,
    /// Fields of it that are not there.
    route_without: Vec<String>,
    /// Fields of one of its TraefikServices, with their values.
    traefik_service: BTreeMap<String, String>,
    /// Fields of that one that are not there.
    traefik_service_without: Vec<String>,
    /// Fields of its TLSOption, with their values.
    tls_option: BTreeMap<String, String>,
    /// All of these.
    is: Vec<Trait>,
}

#[derive(Deserialize)]
struct File {
    compared: Vec<Compared>,
    difference: Vec<Difference>,
}

/// All differences, in the order of the file.
pub(super) fn all() -> Vec<Difference> {
    // A unit test reads the same text.
    toml::from_str::<File>(FILE).map(|file| file.difference).unwrap_or_default()
}

/// How values are compared.
pub(in crate::cli) fn compared() -> Vec<Compared> {
    toml::from_str::<File>(FILE).map(|file| file.compared).unwrap_or_default()
}

impl Difference {
    /// Whether the status is another with it.
    pub(in crate::cli) fn is_of_status(&self) -> bool {
        any(&self.signs.items, "status")
    }

    /// Whether what was seen is this difference.
    pub(in crate::cli) fn shows_in(&self, seen: &Sighting<'_>) -> bool {
        let Signs { items, traefik, ravelin, statuses, own } = &self.signs;
        let is = |pattern: &Option<String>, value: &str| {
            pattern.as_ref().is_none_or(|pattern| like(pattern, value))
        };
        any(items, seen.item)
            && is(traefik, seen.traefik)
            && is(ravelin, seen.ravelin)
            && (!own || seen.is_own)
            && statuses.as_ref().is_none_or(|both| {
                like(&both.traefik, seen.statuses[0]) && like(&both.ravelin, seen.statuses[1])
            })
    }

    /// Whether it holds for this route, and not for all.
    pub(super) fn holds_for(&self, subject: &Subject<'_>) -> bool {
        self.when.iter().any(|condition| condition.holds_for(subject))
    }

    /// Whether a route for which it holds is no longer served the same.
    pub(in crate::cli) fn counts(&self) -> bool {
        !self.everywhere && !self.seldom && self.side != Side::Cosmetic
    }
}

impl Condition {
    fn holds_for(&self, subject: &Subject<'_>) -> bool {
        self.is.iter().all(|it| subject.traits.contains(it))
            && one_of(&self.path_type, subject.path_type)
            && one_of(&self.path, &subject.path)
            && !any(&self.not_path, &subject.path)
            && self.holds_for_annotations(&self.annotation, subject.annotations)
            && self.holds_for_annotations(&self.service_annotation, subject.service_annotations)
            && self.holds_for_steps(&subject.steps)
            && self.holds_for_route(subject.route)
            && self.holds_for_traefik_services(&subject.traefik_services)
            && self.tls_option.iter().all(|(path, pattern)| {
                subject.tls_option.is_some_and(|spec| has(spec, path, pattern))
            })
    }

    fn holds_for_traefik_services(&self, specs: &[&Value]) -> bool {
        let holds = |spec: &&Value| {
            self.traefik_service.iter().all(|(path, pattern)| has(spec, path, pattern))
                && self.traefik_service_without.iter().all(|path| find(spec, path).is_none())
        };
        self.traefik_service.is_empty() || specs.iter().any(holds)
    }

    fn holds_for_route(&self, route: Option<&Value>) -> bool {
        let Some(route) = route else {
            return self.route.is_empty() && self.route_without.is_empty();
        };
        self.route.iter().all(|(path, pattern)| has(route, path, pattern))
            && self.route_without.iter().all(|path| find(route, path).is_none())
    }

    fn holds_for_steps(&self, steps: &[StepView<'_>]) -> bool {
        let is_of = |kinds: &[String], step: &StepView<'_>| {
            kinds.iter().any(|kind| kind.eq_ignore_ascii_case(step.kind))
        };
        let has = |at: usize| {
            let others = steps.iter().enumerate().filter(|(other, _)| *other != at);
            let mut others = others.map(|(_, step)| step);
            self.holds_for_fields(&steps[at])
                && (self.beside.is_empty() || others.any(|step| is_of(&self.beside, step)))
        };
        self.middleware.is_empty()
            || (0..steps.len()).any(|at| is_of(&self.middleware, &steps[at]) && has(at))
    }

    fn holds_for_fields(&self, step: &StepView<'_>) -> bool {
        let is_asked = |it: Trait| self.is.contains(&it);
        let is_it = (step.is_shared || !is_asked(Trait::SharedMiddleware))
            && (step.is_broken || !is_asked(Trait::NotServed));
        let has = |path: &str, pattern: &str| has(step.spec, path, pattern);
        is_it
            && self.fields.iter().all(|(path, pattern)| has(path, pattern))
            && !self.not_fields.iter().any(|(path, pattern)| has(path, pattern))
            && self.without.iter().all(|path| find(step.spec, path).is_none())
    }

    fn holds_for_annotations(&self, names: &[String], all: Option<&Map<String, Value>>) -> bool {
        let fits = |name: &str, value: &Value| {
            let name = name.to_lowercase();
            let value = value.as_str().unwrap_or_default();
            any(names, &name)
                && !any(&self.not_annotation, &name)
                && one_of(&self.value, value)
                && !self.not_value.iter().any(|pattern| is(pattern, value))
        };
        names.is_empty() || all.is_some_and(|all| all.iter().any(|(name, value)| fits(name, value)))
    }
}

fn one_of(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| is(pattern, text))
}

fn is(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('=') {
        Some(exact) => exact == text,
        None => like(pattern, text),
    }
}

/// Whether a field has a value.
fn has(value: &Value, path: &str, pattern: &str) -> bool {
    find(value, path).is_some_and(|value| texts(value).iter().any(|it| is(pattern, it)))
}

/// A field by its path with dots; numbers are positions in lists.
fn find<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let found = path.split('.').try_fold(value, |value, key| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        value => value.get(key),
    });
    found.filter(|value| !value.is_null())
}

/// A scalar as text, or the elements of a list; a mapping is a text of its own.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Object(_) => vec!["{}".to_owned()],
        value => vec![value.to_string()],
    }
}

#[cfg(test)]
mod tests;
