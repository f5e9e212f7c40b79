//! `sticky.cookie`: the cookie that keeps a visitor at a pod, or at one of several Services.

use crate::control::quote::quote;
use crate::control::translate::middleware::Fields;
use crate::model::{CookieSettings, SameSite, cookie_domain, is_cookie_name, is_cookie_path};
use std::sync::Arc;

/// Reads `sticky`.
pub(in crate::control::translate) fn sticky(
    fields: &mut Fields<'_, '_, '_>,
) -> Option<Arc<CookieSettings>> {
    let sticky = fields.below("sticky", |sticky| {
        sticky.know(&["cookie"]);
        sticky.below("cookie", cookie).flatten()
    });
    sticky.flatten().map(Arc::new)
}

/// Reads `sticky.cookie`.
pub(super) fn cookie(fields: &mut Fields<'_, '_, '_>) -> Option<CookieSettings> {
    fields.know(&["name", "secure", "httpOnly", "sameSite", "maxAge", "path", "domain"]);
    let mut settings = CookieSettings::default();
    if let Some(name) = fields.text("name").filter(|name| !name.is_empty()) {
        if !is_cookie_name(name) {
            let reason = format!("{} is not the name of a cookie", quote(name));
            fields.refuse("name", reason, "write letters and digits");
            return None;
        }
        settings.name = name.into();
    }
    settings.secure = fields.flag_if_any("secure").filter(|secure| *secure);
    settings.http_only = fields.flag_if_any("httpOnly").unwrap_or(settings.http_only);
    if let Some(text) = fields.text("domain").filter(|domain| !domain.is_empty()) {
        let domain = cookie_domain(text).ok_or_else(|| "is not a domain".to_owned());
        let domain = fields.parse("domain", text, domain, "write one such as a.example");
        settings.domain = domain.map(Into::into);
    }
    match fields.text("sameSite").map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "lax") => {}
        Some("strict") => settings.same_site = SameSite::Strict,
        Some("none") => settings.same_site = SameSite::None,
        Some(other) => {
            let reason = format!("{} is not a value of SameSite", quote(other));
            fields.refuse("sameSite", reason, "write lax, strict or none");
        }
    }
    let max_age = fields.number("maxAge").unwrap_or(0);
    settings.max_age = u32::try_from(max_age).ok().filter(|seconds| *seconds > 0);
    if let Some(path) = fields.text("path").filter(|path| !path.is_empty()) {
        if is_cookie_path(path) {
            settings.path = path.into();
        } else {
            let reason = format!("{} is not the path of a cookie", quote(path));
            fields.refuse("path", reason, "write a path such as /");
        }
    }
    Some(settings)
}
