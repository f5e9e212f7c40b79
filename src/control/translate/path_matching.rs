//! How the paths of an Ingress are matched, where that is not for their type alone: `router.priority` and
//! `router.pathmatcher` of Traefik, and regular expressions of ingress-nginx.

use super::annotations::{Annotations, IGNORE, PATH_MATCHER, PRIORITY, field};
use super::fields;
use super::foreign::place_of_expression;
use super::report::{Problem, Report};
use super::rewrite::{Expression, Rewrites};
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::model::middleware::Pattern;
use crate::model::{
    Broken, Condition, HostPattern, NamedStep, Ordered, PathKind, PathPattern, Why, rule_length,
};
use k8s_openapi::api::networking::v1::HTTPIngressPath;
use std::sync::Arc;

/// More is kept for Traefik's own routes.
const MOST_PRIORITY: i64 = i64::MAX - 1000;

/// The values of [`PATH_MATCHER`].
const MATCHERS: [(&str, Matcher); 3] =
    [("Path", Matcher::Path), ("PathPrefix", Matcher::Prefix), ("PathRegexp", Matcher::Regexp)];

const SPECIFIC: &str = "ImplementationSpecific";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Matcher {
    Path,
    #[default]
    Prefix,
    Regexp,
}

/// What annotations say of all paths of an Ingress.
#[derive(Clone, Debug, Default)]
pub(super) struct PathMatching {
    priority: Option<i64>,
    matcher: Matcher,
    rewrites: Rewrites,
    /// Whether paths may be expressions of another controller, none of which is served.
    pub(super) expressions: bool,
    /// Why no route of it is served.
    pub(super) broken: Option<Broken>,
}

/// What one path comes to.
pub(super) struct Matched {
    /// Where it stands in the table, or, with an order of its own, in messages.
    pub(super) pattern: PathPattern,
    pub(super) ordered: Option<Arc<Ordered>>,
    /// The step of its requests alone.
    pub(super) rewrite: Option<Arc<NamedStep>>,
    /// Why it is not served, though it has its place.
    pub(super) broken: Option<Broken>,
}

impl PathMatching {
    /// Reads the annotations. Traefik drops an Ingress with a value that it does not understand.
    pub(super) fn read(annotations: Annotations<'_>, report: &mut Report<'_>) -> Self {
        let mut read = Self::default();
        let mut refuse = |name: &str, value: &str, what: &str, fix: String| {
            let reason = format!(
                "{} is not {what}, and Traefik rejects the Ingress: its routes answer 503",
                quote(value)
            );
            let problem = Problem::error(Why::AnnotationUnsupported, "", reason, fix);
            report.add(&field(name), problem);
            read.broken = Some(Broken::Altered);
        };
        let ignored = annotations.list(IGNORE);
        let given = |name| annotations.get(name).filter(|value| !value.is_empty());
        let given = |name| given(name).filter(|_| !ignored.contains(&name));
        let (mut priority, mut matcher) = (None, Matcher::default());
        if let Some(value) = given(PRIORITY) {
            match value.parse::<i64>() {
                Ok(0) => {}
                Ok(number) => priority = Some(number.min(MOST_PRIORITY)),
                Err(_) => {
                    refuse(PRIORITY, value, "a whole number", "write one such as \"10\"".into());
                }
            }
        }
        if let Some(value) = given(PATH_MATCHER) {
            match MATCHERS.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(value)) {
                Some((_, known)) => matcher = known,
                None => {
                    let words = MATCHERS.map(|(word, _)| word);
                    let fix = match nearest(value, words) {
                        Some(near) => format!("did you mean {}?", quote(near)),
                        None => format!("write one of {}", words.join(", ")),
                    };
                    refuse(PATH_MATCHER, value, "a matcher of paths", fix);
                }
            }
        }
        (read.priority, read.matcher) = (priority, matcher);
        read.rewrites = Rewrites::read(annotations, report);
        read.broken = read.broken.or(read.rewrites.broken);
        read
    }

    /// Reads one path. A problem beside the result is about a path that is there, possibly not as intended.
    pub(super) fn path(
        &self,
        host: &HostPattern,
        source: &HTTPIngressPath,
    ) -> (Result<Matched, Problem>, Option<Problem>) {
        let is_specific = source.path_type == SPECIFIC;
        if is_specific && self.matcher == Matcher::Regexp {
            return self.regexp(host, source.path.as_deref().unwrap_or_default());
        }
        let text = source.path.as_deref().unwrap_or_default();
        if let Some(read) = self.rewrites.expression(text) {
            return self.expression(host, text, read);
        }
        let (pattern, warning) = fields::path(source, self.expressions);
        let pattern = pattern.and_then(|pattern| match self.matcher {
            Matcher::Path if is_specific => place(PathKind::Exact, &pattern.text),
            _ => Ok(pattern),
        });
        let matched = pattern.map(|pattern| {
            let ordered = self.priority.map(|priority| {
                let condition = match pattern.kind {
                    PathKind::Exact => Condition::Path((*pattern.text).into()),
                    PathKind::Prefix => Condition::PathElements(pattern.prefix().into()),
                };
                Arc::new(Ordered { priority, condition })
            });
            let rewrite = self.rewrites.step(&pattern.text, false);
            Matched { pattern, ordered, rewrite, broken: None }
        });
        (matched, warning)
    }

    /// A path that is an expression, not anchored, as in Traefik 3.
    fn regexp(
        &self,
        host: &HostPattern,
        text: &str,
    ) -> (Result<Matched, Problem>, Option<Problem>) {
        let at = place_of_expression(text).unwrap_or_else(|| text.to_owned());
        let pattern = place(PathKind::Prefix, if at.starts_with('/') { &at } else { "/" });
        let read = Pattern::new(text).map_err(|error| {
            let reason = format!(
                "{} is not a regular expression that is used: {error}: requests get 503",
                quote(text)
            );
            Problem::error(Why::AnnotationUnsupported, "path", reason, "correct it")
        });
        let (ordered, broken, problem) = match read {
            Ok(pattern) => {
                let priority = self.priority.unwrap_or_else(|| length_of(host, text));
                let condition = Condition::PathRegexp(pattern);
                (Some(Arc::new(Ordered { priority, condition })), None, None)
            }
            Err(problem) => (None, Some(Broken::Altered), Some(problem)),
        };
        let matched = pattern.map(|pattern| Matched { pattern, ordered, rewrite: None, broken });
        (matched, problem)
    }

    /// A path that is an expression of nginx's. One for all that is below a plain path is a Prefix; others have the
    /// order of their length, as in nginx and in Traefik.
    fn expression(
        &self,
        host: &HostPattern,
        text: &str,
        read: Result<Expression, Problem>,
    ) -> (Result<Matched, Problem>, Option<Problem>) {
        let Expression { pattern, place: at, is_prefix } = match read {
            Ok(expression) => expression,
            Err(problem) => {
                let at = place_of_expression(text).unwrap_or_default();
                let broken = Some(Broken::Altered);
                let matched = place(PathKind::Prefix, &at).map(|pattern| Matched {
                    pattern,
                    ordered: None,
                    rewrite: None,
                    broken,
                });
                return (matched, Some(problem));
            }
        };
        let own = self.priority.or_else(|| {
            let length = || length_of(host, text);
            (!is_prefix).then(length)
        });
        let ordered = own.map(|priority| {
            let condition = Condition::PathRegexp(pattern);
            Arc::new(Ordered { priority, condition })
        });
        let rewrite = self.rewrites.step(text, true);
        let matched = place(PathKind::Prefix, &at).map(|pattern| Matched {
            pattern,
            ordered,
            rewrite,
            broken: None,
        });
        (matched, None)
    }
}

fn place(kind: PathKind, text: &str) -> Result<PathPattern, Problem> {
    PathPattern::new(kind, text).map_err(|error| {
        let reason = format!("{} cannot match any request: {error}", quote(text));
        Problem::invalid("path", reason, "write the path as in a URL")
    })
}

/// The priority of a rule with an expression. Within quotes, Go writes two bytes for a quote and for a backslash.
fn length_of(host: &HostPattern, text: &str) -> i64 {
    let (name, is_wildcard) = match host {
        HostPattern::Any => ("", false),
        HostPattern::Exact(name) => (&**name, false),
        HostPattern::Wildcard(name) => (&**name, true),
    };
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    rule_length(name, is_wildcard, "PathRegexp", text.len() + escaped)
}
