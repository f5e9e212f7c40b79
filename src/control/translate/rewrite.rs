//! `rewrite-target` and `use-regex` of ingress-nginx: paths that are regular expressions, and the paths that pods get.

use super::annotations::{Annotations, field};
use super::foreign::place_of_expression;
use super::report::{Problem, Report};
use crate::control::quote::quote;
use crate::model::middleware::{NamedStep, PathRewrite, Pattern, Replacement, Step};
use crate::model::{Broken, Why};
use std::sync::Arc;

/// The path that pods get, with `$1` for a group of the path of the rule.
const REWRITE_TARGET: &str = "nginx.ingress.kubernetes.io/rewrite-target";

/// `"true"`: paths may be regular expressions.
const USE_REGEX: &str = "nginx.ingress.kubernetes.io/use-regex";

/// What the two annotations say of all paths of an Ingress.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewrites {
    target: Option<Target>,
    /// Whether paths may be expressions.
    pub(super) expressions: bool,
    /// Why no route of it is served.
    pub(super) broken: Option<Broken>,
}

#[derive(Clone, Debug)]
struct Target {
    text: String,
    replacement: Replacement,
}

/// A path that is an expression.
pub(super) struct Expression {
    /// Matches the paths of its requests: at the beginning, in any case (`location ~* "^..."`).
    pub(super) pattern: Pattern,
    /// What is plain before it.
    pub(super) place: String,
    /// Whether it is for all paths below its place, so that no expression has to be looked at for a route.
    pub(super) is_prefix: bool,
}

impl Rewrites {
    /// Reads the annotations.
    pub(super) fn read(annotations: Annotations<'_>, report: &mut Report<'_>) -> Self {
        let mut read = Self::default();
        let mut given = |name: &str| {
            let value = annotations.get(name).filter(|value| !value.is_empty())?;
            (!annotations.ignores(name, None, report)).then_some(value)
        };
        let regex = given(USE_REGEX).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let target = given(REWRITE_TARGET);
        read.expressions = regex || target.is_some();
        let Some(text) = target else { return read };
        match replacement(text) {
            Ok(replacement) => read.target = Some(Target { text: text.to_owned(), replacement }),
            Err((reason, fix)) => {
                let reason =
                    format!("{} {reason}: the routes of this Ingress answer 503", quote(text));
                let problem = Problem::error(Why::AnnotationUnsupported, "", reason, fix);
                report.add(&field(REWRITE_TARGET), problem);
                read.broken = Some(Broken::Altered);
            }
        }
        read
    }

    /// The path of a rule as an expression, if it is one here.
    pub(super) fn expression(&self, text: &str) -> Option<Result<Expression, Problem>> {
        let place = place_of_expression(text).filter(|_| self.expressions)?;
        let is_prefix = is_prefix(text, &place);
        let body = text.trim_start_matches('^');
        let pattern = Pattern::new(&format!("(?i)^(?:{body})"));
        Some(pattern.map(|pattern| Expression { pattern, place, is_prefix }).map_err(|error| {
            let reason = format!(
                "{} is not a regular expression that is used: {error}: requests get 503",
                quote(text)
            );
            Problem::error(Why::AnnotationUnsupported, "path", reason, "correct it")
        }))
    }

    /// What becomes of the paths of a rule's requests, if they are rewritten. nginx replaces the whole path. A plain
    /// path has no groups, and its requests all get the target.
    pub(super) fn step(&self, text: &str, is_expression: bool) -> Option<Arc<NamedStep>> {
        let target = self.target.as_ref().filter(|target| target.text != text)?;
        let whole = match is_expression {
            true => format!("(?is)^(?:{}).*$", text.trim_start_matches('^')),
            false => "(?s)^.*$".to_owned(),
        };
        // It has been compiled as a condition, in other brackets.
        let regex = Pattern::new(&whole).ok()?;
        let replacement = target.replacement.clone();
        let step = Step::Path(Box::new(PathRewrite::RewriteTarget { regex, replacement }));
        Some(Arc::new(NamedStep { name: "rewrite-target".into(), step }))
    }
}

/// A target as nginx reads it: a `$` and one digit are a group.
fn replacement(text: &str) -> Result<Replacement, (&'static str, &'static str)> {
    if !text.starts_with('/') && !text.starts_with('$') {
        return Err(("is not a path", "write a path, or use permanent-redirect for an address"));
    }
    if text.contains('?') {
        return Err(("has a query, which is not added", "write the path alone"));
    }
    let (mut read, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        read.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let Some(group) = behind.chars().next().filter(char::is_ascii_digit) else {
            return Err(("has a variable that is not known", "use groups alone, such as /$2"));
        };
        read.push_str(&format!("${{{group}}}"));
        rest = &behind[1..];
    }
    read.push_str(rest);
    Ok(Replacement::new(&read))
}

/// Whether an expression is for what lies below its place, element by element, and for nothing else.
fn is_prefix(text: &str, place: &str) -> bool {
    let body = text.trim_start_matches('^');
    let body = body.strip_suffix('$').unwrap_or(body);
    match place {
        "/" => ["/(.*)", "/?(.*)", "/()(.*)", "/.*", "(/.*)"].contains(&body),
        place => body.strip_prefix(place).is_some_and(|rest| {
            ["(/|$)(.*)", "(/|$)", "(/|$).*", "(?:/|$)(.*)", "(/.*)?", "(?:/(.*))?"].contains(&rest)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_expressions_are_prefixes() {
        for (text, expected) in [
            ("/api(/|$)(.*)", true),
            ("^/api(/|$)(.*)$", true),
            ("/(.*)", true),
            ("/api(.*)", false),
            ("/api/(.*)", false),
            ("/v[0-9]+(/|$)(.*)", false),
            ("/a.b*(/|$)(.*)", false),
        ] {
            let place = place_of_expression(text).expect("an expression");
            assert_eq!(is_prefix(text, &place), expected, "{text}");
        }
    }

    #[test]
    fn a_target_has_groups_of_one_digit_and_no_variables() {
        let read = |text| replacement(text).map(|own| own.as_str().to_owned()).map_err(|why| why.0);
        assert_eq!(read("/a/$2"), Ok("/a/${2}".to_owned()));
        assert_eq!(read("/$12/x"), Ok("/${1}2/x".to_owned()));
        assert_eq!(read("/$host"), Err("has a variable that is not known"));
        assert_eq!(read("https://b.example/$1"), Err("is not a path"));
        assert_eq!(read("/x?y=$1"), Err("has a query, which is not added"));
    }
}
