//! `compress`, `contentType`, `buffering`.

use super::Fields;
use crate::control::quote::quote;
use crate::model::middleware::{Compress, Step};
use std::num::NonZeroU64;

/// What is offered, the preferred one first.
const ENCODINGS: [&str; 2] = ["br", "gzip"];

/// What Traefik has besides.
const NOT_OFFERED: &str = "zstd";

/// Bytes below which nothing is compressed (Traefik, `minResponseBodyBytes`).
const MIN_BYTES: u64 = 1024;

/// Reads `compress`.
pub(super) fn compress(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&[
        "encodings",
        "minResponseBodyBytes",
        "includedContentTypes",
        "excludedContentTypes",
        "defaultEncoding",
    ]);
    let min_bytes = match fields.count("minResponseBodyBytes") {
        0 => MIN_BYTES,
        bytes => bytes,
    };
    let excluded = content_types(fields, "excludedContentTypes");
    let included = content_types(fields, "includedContentTypes");
    if !excluded.is_empty() && !included.is_empty() {
        let reason = "cannot be used together with excludedContentTypes";
        fields.refuse("includedContentTypes", reason, "remove one of the two");
    }
    let encodings = encodings(fields);
    if encodings.is_empty() && !fields.is_broken() {
        let reason = "has neither br nor gzip: nothing is compressed";
        fields.warn("encodings", reason, "add one of the two");
        return None;
    }
    let default = default_encoding(fields, &encodings);
    Some(Step::Compress(Box::new(Compress { min_bytes, encodings, default, excluded, included })))
}

/// The one for clients that name none. Traefik takes only one that is offered.
fn default_encoding(
    fields: &mut Fields<'_, '_, '_>,
    encodings: &[&'static str],
) -> Option<&'static str> {
    const KEY: &str = "defaultEncoding";
    let text = fields.text(KEY).filter(|text| !text.is_empty())?;
    let known = encodings.iter().copied().find(|known| *known == text);
    if known.is_none() {
        let reason =
            format!("{} is not offered: clients that name none get no encoding", quote(text));
        fields.warn(KEY, reason, "write br or gzip, and list it in encodings");
    }
    known
}

fn encodings(fields: &mut Fields<'_, '_, '_>) -> Vec<&'static str> {
    if fields.get("encodings").is_none() {
        return ENCODINGS.to_vec();
    }
    let mut encodings = Vec::new();
    for text in fields.texts("encodings") {
        match ENCODINGS.into_iter().find(|known| *known == text) {
            Some(known) => encodings.push(known),
            None if text == NOT_OFFERED => {
                fields.tell("encodings", "zstd is not offered; br and gzip are");
            }
            None => {
                let reason = format!("{} is not an encoding", quote(text));
                fields.refuse("encodings", reason, "write br or gzip");
            }
        }
    }
    encodings
}

fn content_types(fields: &mut Fields<'_, '_, '_>, key: &str) -> Vec<Box<str>> {
    let mut types = Vec::new();
    for text in fields.texts(key) {
        let essence = text.split(';').next().unwrap_or_default().trim();
        if essence.split_once('/').is_none_or(|(kind, sub)| kind.is_empty() || sub.is_empty()) {
            let reason = format!("{} is not a media type", quote(text));
            fields.refuse(key, reason, "write one such as text/event-stream");
            continue;
        }
        types.push(essence.to_ascii_lowercase().into());
    }
    types
}

/// Reads `contentType`.
pub(super) fn content_type(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["autoDetect"]);
    // The Middleware alone asks for it; the field is from the time when it was on everywhere.
    match fields.flag_if_any("autoDetect") {
        Some(false) => Some(Step::ContentType(false)),
        _ => Some(Step::ContentType(true)),
    }
}

/// Reads `buffering`, of which the limit for requests is kept.
pub(super) fn buffering(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&[
        "maxRequestBodyBytes",
        "memRequestBodyBytes",
        "maxResponseBodyBytes",
        "memResponseBodyBytes",
        "retryExpression",
    ]);
    for key in ["memRequestBodyBytes", "memResponseBodyBytes"] {
        fields.tell(key, "bodies are passed on as they come");
    }
    fields.tell("retryExpression", "requests are sent again only where RFC 9110 allows it");
    if fields.count("maxResponseBodyBytes") > 0 {
        let reason = "is not enforced: responses are passed on as they come";
        fields.warn("maxResponseBodyBytes", reason, "limit them in the pod");
    }
    let most = fields.count("maxRequestBodyBytes");
    NonZeroU64::new(most).map(Step::BodySize)
}
