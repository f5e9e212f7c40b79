//! `stripPrefix`, `stripPrefixRegex`, `addPrefix`, `replacePath`, `replacePathRegex`.

use super::Fields;
use super::redirect::{present, warn_of_group};
use super::texts::{anchored, pattern, replacement};
use crate::control::quote::quote;
use crate::model::CanonicalPath;
use crate::model::middleware::{PathRewrite, Step};
use std::sync::Arc;

fn step(rewrite: PathRewrite) -> Step {
    Step::Path(Box::new(rewrite))
}

/// A prefix as it is written in canonical paths, with which it is compared: `/a b` is `/a%20b`.
fn canonical(prefix: &str) -> Arc<str> {
    // No request has a blank in clear, so no path with one is canonical.
    let escaped = prefix.replace(' ', "%20");
    let canonical = CanonicalPath::parse(&escaped);
    canonical.map_or_else(|_| prefix.into(), |path| path.as_str().into())
}

/// Reads `stripPrefix`.
pub(super) fn strip_prefix(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["prefixes", "forceSlash"]);
    fields.tell("forceSlash", "the path always begins with a slash");
    let prefixes = fields.texts("prefixes");
    for prefix in prefixes.iter().filter(|prefix| !prefix.starts_with('/')) {
        let reason = format!("{} begins no path", quote(prefix));
        fields.warn("prefixes", reason, format!("write {}", quote(&format!("/{prefix}"))));
    }
    if prefixes.is_empty() {
        fields.warn("prefixes", "is empty: nothing is taken away", "write a prefix of the path");
    }
    let prefixes = prefixes.into_iter().filter(|prefix| prefix.starts_with('/'));
    let prefixes = prefixes.map(canonical);
    let prefixes: Vec<_> = prefixes.collect();
    (!prefixes.is_empty()).then(|| step(PathRewrite::StripPrefix(prefixes)))
}

/// Reads `stripPrefixRegex`.
pub(super) fn strip_prefix_regex(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["regex"]);
    let mut patterns = Vec::new();
    for text in fields.texts("regex") {
        patterns.extend(fields.parse("regex", text, anchored(text), "correct it"));
    }
    if patterns.is_empty() && !fields.is_broken() {
        fields.warn("regex", "is empty: nothing is taken away", "write an expression");
        return None;
    }
    Some(step(PathRewrite::StripPrefixRegex(patterns)))
}

/// Reads `addPrefix`.
pub(super) fn add_prefix(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["prefix"]);
    let prefix = fields.required("prefix", "write what is put before the path")?;
    let prefix = if prefix.starts_with('/') { prefix.to_owned() } else { format!("/{prefix}") };
    Some(step(PathRewrite::AddPrefix(prefix.into())))
}

/// Reads `replacePath`.
pub(super) fn replace_path(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["path"]);
    // The slash before it may be missing, as in Traefik: it is put there with the path.
    let path = fields.required("path", "write the path that pods get")?;
    Some(step(PathRewrite::Replace(path.into())))
}

/// Reads `replacePathRegex`.
pub(super) fn replace_path_regex(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["regex", "replacement"]);
    let text = fields.required("regex", "write an expression for the path");
    let regex = text.and_then(|text| fields.parse("regex", text, pattern(text), "correct it"));
    let with = present(fields, "replacement", "write the path that pods get, such as /$1");
    let (regex, with) = (regex?, with?);
    let (replacement, unknown) = replacement(with, &regex);
    warn_of_group(fields, unknown);
    Some(step(PathRewrite::ReplaceRegex { regex, replacement }))
}
