//! `redirectScheme` and `redirectRegex`.

use super::Fields;
use super::texts::{pattern, replacement};
use crate::control::quote::quote;
use crate::model::middleware::{Redirect, RedirectStatus, RedirectTarget, Step};

/// Reads `redirectScheme`.
pub(super) fn scheme(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["scheme", "port", "permanent", "forcePermanentRedirect"]);
    let status = status(fields);
    let scheme = fields.required("scheme", "write `scheme: https`")?;
    let lower = scheme.to_ascii_lowercase();
    let own = match lower.as_str() {
        "http" => 80,
        "https" => 443,
        _ => {
            let reason = format!("{} is not http or https", quote(scheme));
            fields.refuse("scheme", reason, "write https");
            return None;
        }
    };
    let port = match fields.text("port").filter(|port| !port.is_empty()) {
        None => None,
        Some(text) => match text.parse::<u16>().ok().filter(|port| *port > 0) {
            Some(port) => Some(port).filter(|port| *port != own),
            None => {
                let reason = format!("{} is not a port number", quote(text));
                fields.refuse("port", reason, "write one from 1 to 65535 in quotes");
                None
            }
        },
    };
    let target = RedirectTarget::Scheme { scheme: lower.into(), port };
    Some(Step::Redirect(Box::new(Redirect { target, status })))
}

/// Reads `redirectRegex`.
pub(super) fn regex(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["regex", "replacement", "permanent"]);
    let status = status(fields);
    let text = fields.required("regex", "write an expression for scheme://host/path");
    let regex = text.and_then(|text| fields.parse("regex", text, pattern(text), "correct it"));
    let with = present(fields, "replacement", "write where it leads, such as https://$1");
    let (regex, with) = (regex?, with?);
    let (replacement, unknown) = replacement(with, &regex);
    warn_of_group(fields, unknown);
    let target = RedirectTarget::Regex { regex, replacement };
    Some(Step::Redirect(Box::new(Redirect { target, status })))
}

/// A text that has to be there, and may be empty: what matches is then taken away.
pub(super) fn present<'v>(
    fields: &mut Fields<'v, '_, '_>,
    key: &str,
    fix: &str,
) -> Option<&'v str> {
    if fields.get(key).is_none() {
        return fields.required(key, fix);
    }
    fields.text(key)
}

/// Warns of a name in a `replacement` that is no group.
pub(super) fn warn_of_group(fields: &mut Fields<'_, '_, '_>, unknown: Option<String>) {
    if let Some(name) = unknown {
        let reason =
            format!("names the group {}, which `regex` does not have: it is empty", quote(&name));
        let fix = "write ${1} where letters or digits follow";
        fields.warn("replacement", reason, fix);
    }
}

fn status(fields: &mut Fields<'_, '_, '_>) -> RedirectStatus {
    match fields.flag("permanent") {
        true => RedirectStatus::Permanent,
        false => RedirectStatus::Temporary,
    }
}
