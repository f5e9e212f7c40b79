//! `enable-cors`, with the defaults of ingress-nginx.

use super::super::{Draft, Maker};
use crate::control::translate::middleware::{Reader, headers};
use crate::model::middleware::Step;
use http::StatusCode;
use serde_json::{Value, json};

const ENABLE: &str = "nginx.ingress.kubernetes.io/enable-cors";
const ORIGIN: &str = "nginx.ingress.kubernetes.io/cors-allow-origin";
const METHODS: &str = "nginx.ingress.kubernetes.io/cors-allow-methods";
const HEADERS: &str = "nginx.ingress.kubernetes.io/cors-allow-headers";
const CREDENTIALS: &str = "nginx.ingress.kubernetes.io/cors-allow-credentials";
const EXPOSE: &str = "nginx.ingress.kubernetes.io/cors-expose-headers";
const MAX_AGE: &str = "nginx.ingress.kubernetes.io/cors-max-age";

const FIELDS: [(&str, &str); 7] = [
    ("accessControlAllowOriginList", ORIGIN),
    ("accessControlAllowOriginListRegex", ORIGIN),
    ("accessControlAllowMethods", METHODS),
    ("accessControlAllowHeaders", HEADERS),
    ("accessControlAllowCredentials", CREDENTIALS),
    ("accessControlExposeHeaders", EXPOSE),
    ("accessControlMaxAge", MAX_AGE),
];

const DEFAULT_METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
const DEFAULT_HEADERS: [&str; 9] = [
    "DNT",
    "Keep-Alive",
    "User-Agent",
    "X-Requested-With",
    "If-Modified-Since",
    "Cache-Control",
    "Content-Type",
    "Range",
    "Authorization",
];
const DEFAULT_MAX_AGE: u64 = 1_728_000;

/// Adds it.
pub(super) fn read(maker: &mut Maker<'_, '_>) {
    if !maker.is_on(ENABLE) {
        return;
    }
    let or = |given: Vec<&str>, default: &[&str]| -> Vec<String> {
        let all = if given.is_empty() { default } else { &given };
        all.iter().map(|&text| text.to_owned()).collect()
    };
    let origins = or(maker.list(ORIGIN), &["*"]);
    let (patterns, list): (Vec<_>, Vec<_>) =
        origins.into_iter().partition(|origin| origin.len() > 1 && origin.contains('*'));
    let patterns: Vec<String> = patterns.iter().map(|origin| pattern(origin)).collect();
    let is_any = list.iter().any(|origin| origin == "*");
    let credentials = maker.get(CREDENTIALS);
    // Browsers take no credentials with `*`; to say so of nginx's default would be noise.
    let credentials = !is_any && credentials.is_none_or(|value| value != "false");
    let mut spec = json!({
        "accessControlAllowOriginList": list,
        "accessControlAllowOriginListRegex": patterns,
        "accessControlAllowMethods": or(maker.list(METHODS), &DEFAULT_METHODS),
        "accessControlAllowHeaders": or(maker.list(HEADERS), &DEFAULT_HEADERS),
        "accessControlAllowCredentials": credentials,
        "accessControlExposeHeaders": maker.list(EXPOSE),
        "accessControlMaxAge": max_age(maker),
        "addVaryHeader": true,
    });
    if let Value::Object(fields) = &mut spec {
        fields.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
    }
    let annotation = ENABLE;
    let reader: Reader = |fields, _| headers::read(fields);
    let draft = Draft { reader, spec, annotation, fields: &FIELDS, namespace: None };
    maker.draft_with(&draft, |step| {
        if let Step::Headers(rules) = step
            && let Some(cors) = &mut rules.cors
        {
            cors.preflight = StatusCode::NO_CONTENT;
        }
    });
}

fn max_age(maker: &mut Maker<'_, '_>) -> u64 {
    let Some(value) = maker.get(MAX_AGE) else { return DEFAULT_MAX_AGE };
    value.parse().unwrap_or_else(|_| {
        let reason = format!("is not a number of seconds: it is {DEFAULT_MAX_AGE}");
        maker.warn(MAX_AGE, reason, "write digits alone");
        DEFAULT_MAX_AGE
    })
}

/// An origin with a `*`, which stands for one label.
fn pattern(origin: &str) -> String {
    let parts: Vec<String> = origin.split('*').map(regex::escape).collect();
    format!("^{}$", parts.join("[A-Za-z0-9-]+"))
}
