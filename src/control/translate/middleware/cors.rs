//! The part of `headers` about cross-origin resource sharing.

use super::Fields;
use super::texts::{field_value, pattern};
use crate::model::middleware::{AllowedOrigins, Cors};
use http::{HeaderValue, StatusCode};

/// Reads it, if any of its fields is set.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>) -> Option<Cors> {
    let credentials = fields.flag("accessControlAllowCredentials");
    let methods = joined(fields, "accessControlAllowMethods");
    let headers = joined(fields, "accessControlAllowHeaders");
    let expose = joined(fields, "accessControlExposeHeaders");
    let age = fields.get("accessControlMaxAge").map(|_| fields.count("accessControlMaxAge"));
    let vary = fields.flag("addVaryHeader");
    let origins = origins(fields);
    let has_origins = origins.any || !(origins.list.is_empty() && origins.patterns.is_empty());
    let is_asked = credentials
        || methods.is_some()
        || headers.is_some()
        || expose.is_some()
        || age.is_some()
        || vary
        || has_origins;
    if !is_asked {
        return None;
    }
    if credentials && origins.any {
        let reason = "is true and any origin may ask: browsers refuse `*` with credentials";
        let fix = "list the origins in accessControlAllowOriginList";
        fields.warn("accessControlAllowCredentials", reason, fix);
    }
    // 0 says that nothing is to be kept; without it browsers keep answers for five seconds.
    let max_age = age.map(HeaderValue::from);
    let preflight = StatusCode::OK;
    Some(Cors { origins, credentials, methods, headers, expose, max_age, vary, preflight })
}

fn origins(fields: &mut Fields<'_, '_, '_>) -> AllowedOrigins {
    let mut origins = AllowedOrigins::default();
    for origin in fields.texts("accessControlAllowOriginList") {
        if origin == "*" {
            origins.any = true;
            continue;
        }
        let fix = "write origins such as https://app.example.com";
        let key = "accessControlAllowOriginList";
        origins.list.extend(fields.parse(key, origin, field_value(origin), fix));
    }
    for text in fields.texts("accessControlAllowOriginListRegex") {
        let key = "accessControlAllowOriginListRegex";
        origins.patterns.extend(fields.parse(key, text, pattern(text), "correct it"));
        let is_open = !(text.starts_with('^') && text.ends_with('$'));
        if is_open {
            let fix = "begin it with ^ and end it with $, and write \\. for a dot";
            fields.warn(key, "matches anywhere in an origin, others' as well", fix);
        }
    }
    origins
}

fn joined(fields: &mut Fields<'_, '_, '_>, key: &str) -> Option<HeaderValue> {
    let all = fields.texts(key).join(",");
    if all.is_empty() {
        return None;
    }
    fields.parse(key, &all, field_value(&all), "write names of methods or fields")
}
