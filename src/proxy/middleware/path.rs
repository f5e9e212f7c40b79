//! Changes of the path that pods get. The result is made canonical and checked again, because a path that two
//! servers could read differently may come of two that they cannot.

use super::{RequestView, StepAnswer, Stop};
use crate::error::Reason;
use crate::model::CanonicalPath;
use crate::model::middleware::{PathRewrite, Pattern};
use crate::net::fields::Fields;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;

const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REPLACED_PATH: HeaderName = HeaderName::from_static("x-replaced-path");

/// A new path, and what the pod is told of the old one.
struct Rewritten<'r> {
    path: Cow<'r, str>,
    told: Option<(HeaderName, Cow<'r, str>)>,
}

/// Rewrites the path, if the rewrite is for it.
pub(super) fn on_request(rewrite: &PathRewrite, request: &mut RequestView<'_>) -> Result<(), Stop> {
    let refused = || Stop::from(StepAnswer::of(Reason::RewriteRefused));
    let uri = request.request.uri();
    let Some(Rewritten { path, told }) = rewritten(rewrite, uri.path()) else {
        return Ok(());
    };
    let canonical = CanonicalPath::parse(&path).map_err(|_| refused())?;
    // What comes of cutting may climb: `/api..` without `/api`.
    if canonical.as_str().len() < path.len() {
        return Err(refused());
    }
    let text = match uri.query() {
        Some(query) => format!("{}?{query}", canonical.as_str()),
        None => canonical.as_str().to_owned(),
    };
    let told = told.map(|(name, value)| (name, HeaderValue::from_str(&value)));
    let new = PathAndQuery::try_from(text).map_err(|_| refused())?;
    if let Some((name, value)) = told {
        request.headers().append(name, value.map_err(|_| refused())?);
    }
    *request.request.uri_mut() = Uri::from(new);
    Ok(())
}

fn rewritten<'r>(rewrite: &'r PathRewrite, path: &'r str) -> Option<Rewritten<'r>> {
    match rewrite {
        PathRewrite::StripPrefix(prefixes) => {
            let fitting = |prefix: &'r std::sync::Arc<str>| {
                path.strip_prefix(&**prefix).map(|rest| stripped(rest, prefix))
            };
            prefixes.iter().find_map(fitting)
        }
        PathRewrite::StripPrefixRegex(patterns) => {
            patterns.iter().find_map(|pattern| strip_match(pattern, path))
        }
        PathRewrite::AddPrefix(prefix) => {
            Some(Rewritten { path: Cow::Owned(absolute(&format!("{prefix}{path}"))), told: None })
        }
        PathRewrite::Replace(new) => Some(Rewritten {
            path: Cow::Owned(absolute(new)),
            told: Some((X_REPLACED_PATH, path.into())),
        }),
        PathRewrite::ReplaceRegex { regex, replacement } => {
            regex.is_match(path).then(|| Rewritten {
                path: Cow::Owned(absolute(&regex.replace_all(path, replacement))),
                told: Some((X_REPLACED_PATH, path.into())),
            })
        }
        PathRewrite::RewriteTarget { regex, replacement } => {
            regex.is_match(path).then(|| Rewritten {
                path: Cow::Owned(absolute(&regex.replace_all(path, replacement))),
                told: None,
            })
        }
    }
}

/// What is left of a path. What is cut off is told, as one path.
fn stripped<'r>(rest: &'r str, prefix: &'r str) -> Rewritten<'r> {
    let path = match rest.starts_with('/') {
        true => Cow::Borrowed(rest),
        false => Cow::Owned(absolute(rest)),
    };
    Rewritten { path, told: Some((X_FORWARDED_PREFIX, prefix.into())) }
}

fn strip_match<'r>(pattern: &Pattern, path: &'r str) -> Option<Rewritten<'r>> {
    let (start, end) = pattern.find(path)?;
    (start == 0 && end > 0).then(|| stripped(&path[end..], &path[..end]))
}

/// A path begins with a slash.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::Replacement;

    fn apply(rewrite: &PathRewrite, path: &str) -> (String, Option<String>) {
        match rewritten(rewrite, path) {
            Some(Rewritten { path, told }) => {
                (path.into_owned(), told.map(|(name, value)| format!("{name}: {value}")))
            }
            None => (path.to_owned(), None),
        }
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).expect("valid")
    }

    #[test]
    fn the_first_prefix_that_fits_is_cut_off_by_character() {
        let strip = PathRewrite::StripPrefix(vec!["/api".into(), "/".into()]);
        let told = |prefix: &str| Some(format!("x-forwarded-prefix: {prefix}"));
        assert_eq!(apply(&strip, "/api/v1"), ("/v1".to_owned(), told("/api")));
        assert_eq!(apply(&strip, "/apiary"), ("/ary".to_owned(), told("/api")));
        assert_eq!(apply(&strip, "/api"), ("/".to_owned(), told("/api")));
        assert_eq!(apply(&strip, "/other"), ("/other".to_owned(), told("/")));
    }

    #[test]
    fn an_expression_cuts_off_its_match_at_the_beginning_alone() {
        let strip = PathRewrite::StripPrefixRegex(vec![pattern("/v[0-9]+")]);
        assert_eq!(apply(&strip, "/v12/x").0, "/x");
        assert_eq!(apply(&strip, "/a/v12/x"), ("/a/v12/x".to_owned(), None));
    }

    #[test]
    fn a_replaced_path_is_told() {
        let told = |path: &str| Some(format!("x-replaced-path: {path}"));
        let replace = PathRewrite::Replace("/foo".into());
        assert_eq!(apply(&replace, "/a/b"), ("/foo".to_owned(), told("/a/b")));
        let replace = PathRewrite::ReplaceRegex {
            regex: pattern("^/foo/(.*)"),
            replacement: Replacement::new("/bar/$1"),
        };
        assert_eq!(apply(&replace, "/foo/x"), ("/bar/x".to_owned(), told("/foo/x")));
        assert_eq!(apply(&replace, "/x"), ("/x".to_owned(), None));
        assert_eq!(apply(&PathRewrite::AddPrefix("/p".into()), "/x"), ("/p/x".to_owned(), None));
    }
}
