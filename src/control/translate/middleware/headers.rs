//! `headers`: fields of requests and responses, and the security fields.

use super::Fields;
use super::cors;
use super::texts::{change, field_name, is_of_connection};
use crate::control::quote::quote;
use crate::model::middleware::{FieldChange, HeaderRules, Security, Step};
use http::{HeaderName, HeaderValue, header};

/// Fields that Traefik 2 had, and that do nothing in Traefik 3.
const OF_TRAEFIK_2: [(&str, &str); 5] = [
    ("sslRedirect", "use a redirectScheme, or ravelin.dev/https-redirect"),
    ("sslTemporaryRedirect", "use a redirectScheme, or ravelin.dev/https-redirect"),
    ("sslHost", "use a redirectRegex"),
    ("sslForceHost", "use a redirectRegex"),
    ("featurePolicy", "use permissionsPolicy"),
];

const KNOWN: [&str; 33] = [
    "customRequestHeaders",
    "customResponseHeaders",
    "accessControlAllowCredentials",
    "accessControlAllowHeaders",
    "accessControlAllowMethods",
    "accessControlAllowOriginList",
    "accessControlAllowOriginListRegex",
    "accessControlExposeHeaders",
    "accessControlMaxAge",
    "addVaryHeader",
    "allowedHosts",
    "hostsProxyHeaders",
    "sslProxyHeaders",
    "stsSeconds",
    "stsIncludeSubdomains",
    "stsPreload",
    "forceSTSHeader",
    "frameDeny",
    "customFrameOptionsValue",
    "contentTypeNosniff",
    "browserXssFilter",
    "customBrowserXSSValue",
    "contentSecurityPolicy",
    "contentSecurityPolicyReportOnly",
    "publicKey",
    "referrerPolicy",
    "permissionsPolicy",
    "isDevelopment",
    "sslRedirect",
    "sslTemporaryRedirect",
    "sslHost",
    "sslForceHost",
    "featurePolicy",
];

/// Reads it.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&KNOWN);
    for (key, instead) in OF_TRAEFIK_2 {
        if fields.get(key).is_some() {
            fields.warn(key, "does nothing in Traefik 3, nor here", instead);
        }
    }
    let (mut rules, has_custom) = custom(fields);
    rules.cors = cors::read(fields);
    let (security, has_security) = security(fields);
    rules.security = security;
    let has_any = has_custom || has_security || rules.cors.is_some();
    if !has_any && !fields.is_broken() {
        fields.refuse("", "sets nothing", "name the fields to set, or remove the Middleware");
    }
    Some(Step::Headers(Box::new(rules)))
}

/// `customRequestHeaders` and `customResponseHeaders`, and whether there is any.
fn custom(fields: &mut Fields<'_, '_, '_>) -> (HeaderRules, bool) {
    let mut rules = HeaderRules::default();
    let requests = changes(fields, "customRequestHeaders");
    let responses = changes(fields, "customResponseHeaders");
    let has_any = !(requests.is_empty() && responses.is_empty());
    for change in requests {
        match change {
            FieldChange { name, value: Some(host) } if name == header::HOST => {
                rules.host = Some(host);
            }
            // A request without Host is none.
            FieldChange { name, value: None } if name == header::HOST => {
                let fix = "write the Host, or remove the line";
                fields.warn("customRequestHeaders.Host", "is empty, and is ignored", fix);
            }
            change => rules.request.push(change),
        }
    }
    rules.response = responses;
    (rules, has_any)
}

fn changes(fields: &mut Fields<'_, '_, '_>, key: &str) -> Vec<FieldChange> {
    let mut changes: Vec<FieldChange> = Vec::new();
    for (name, value) in fields.pairs(key) {
        let fix = "write the name of a field, such as X-Frame-Options";
        let Some(known) = fields.parse(key, name, field_name(name), fix) else { continue };
        if is_of_connection(&known) {
            let reason = "belongs to one connection: it is managed here, and not changed";
            fields.warn(&format!("{key}.{name}"), reason, "remove it");
            continue;
        }
        let place = format!("{key}.{name}");
        let change = fields.parse(&place, value, change(known, value), "write plain text");
        changes.extend(change);
    }
    changes.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    // Names that differ in capitals alone are one.
    let before = changes.len();
    changes.dedup_by(|b, a| a.name == b.name);
    if changes.len() < before {
        fields.warn(key, "has a field twice; the first one counts", "remove the other");
    }
    changes
}

/// The security fields, and whether any is asked for.
fn security(fields: &mut Fields<'_, '_, '_>) -> (Security, bool) {
    let is_development = fields.flag("isDevelopment");
    let (hsts, hsts_always) = hsts(fields);
    let hosts = fields.texts("allowedHosts");
    let mut security = Security { fields: values(fields), ..Security::default() };
    if fields.text("publicKey").is_some_and(|key| !key.is_empty()) {
        let reason = "is not sent: no browser reads Public-Key-Pins";
        fields.warn("publicKey", reason, "remove it");
    }
    fields.tell("sslProxyHeaders", "whether a visitor has TLS is what was verified of the client");
    if !hosts.is_empty() && !fields.texts("hostsProxyHeaders").is_empty() {
        let reason = "is not read: allowedHosts are compared with Host";
        fields.warn("hostsProxyHeaders", reason, "remove it");
    }
    let is_asked = is_development
        || hsts.is_some()
        || hsts_always
        || !hosts.is_empty()
        || !security.fields.is_empty()
        || fields.get("sslProxyHeaders").is_some()
        || fields.get("hostsProxyHeaders").is_some()
        || OF_TRAEFIK_2.iter().any(|(key, _)| fields.get(key).is_some());
    if !is_development {
        (security.hsts, security.hsts_always) = (hsts, hsts_always);
        security.allowed_hosts =
            hosts.into_iter().map(|host| host.to_ascii_lowercase().into()).collect();
    } else if fields.get("allowedHosts").is_some() || hsts.is_some() {
        let reason = "is true: allowedHosts and HSTS are off, as in Traefik";
        fields.warn("isDevelopment", reason, "remove it in production");
    }
    (security, is_asked)
}

/// `Strict-Transport-Security`, and whether it is for all visitors.
fn hsts(fields: &mut Fields<'_, '_, '_>) -> (Option<HeaderValue>, bool) {
    let seconds = fields.count("stsSeconds");
    let subdomains = fields.flag("stsIncludeSubdomains");
    let preload = fields.flag("stsPreload");
    let always = fields.flag("forceSTSHeader");
    if seconds == 0 {
        if always || subdomains || preload {
            let reason = "is 0 or missing: no Strict-Transport-Security is sent";
            fields.warn("stsSeconds", reason, "write seconds, such as 31536000");
        }
        return (None, always);
    }
    let subdomains = if subdomains { "; includeSubDomains" } else { "" };
    let preload = if preload { "; preload" } else { "" };
    let value = HeaderValue::from_str(&format!("max-age={seconds}{subdomains}{preload}"));
    (value.ok(), always)
}

/// The fields that stand for themselves.
fn values(fields: &mut Fields<'_, '_, '_>) -> Vec<FieldChange> {
    let mut values = Vec::new();
    let fixed = [
        (header::X_FRAME_OPTIONS, "customFrameOptionsValue", "frameDeny", "DENY"),
        (header::X_XSS_PROTECTION, "customBrowserXSSValue", "browserXssFilter", "1; mode=block"),
    ];
    for (name, custom, switch, default) in fixed {
        let is_on = fields.flag(switch);
        push(fields, custom, name, if is_on { default } else { "" }, &mut values);
    }
    let nosniff = if fields.flag("contentTypeNosniff") { "nosniff" } else { "" };
    push(fields, "", header::X_CONTENT_TYPE_OPTIONS, nosniff, &mut values);
    for (key, name) in [
        ("contentSecurityPolicy", header::CONTENT_SECURITY_POLICY),
        ("contentSecurityPolicyReportOnly", header::CONTENT_SECURITY_POLICY_REPORT_ONLY),
        ("referrerPolicy", header::REFERRER_POLICY),
        ("permissionsPolicy", HeaderName::from_static("permissions-policy")),
    ] {
        push(fields, key, name, "", &mut values);
    }
    values
}

/// Adds a field with the text under `key`, or else the default, unless that is empty.
fn push(
    fields: &mut Fields<'_, '_, '_>,
    key: &str,
    name: HeaderName,
    default: &str,
    values: &mut Vec<FieldChange>,
) {
    let text = if key.is_empty() { None } else { fields.text(key) };
    let text = text.filter(|text| !text.is_empty()).unwrap_or(default);
    if text.is_empty() {
        return;
    }
    match change(name, text) {
        Ok(change) => values.push(change),
        Err(problem) => {
            fields.refuse(key, format!("{} {problem}", quote(text)), "write plain text");
        }
    }
}
