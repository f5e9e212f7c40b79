//! The short forms of ravelin's own: what most routes ask for, without a Middleware.

use super::references::split;
use super::{Draft, Maker, access, nginx, pages, zone};
use crate::config;
use crate::control::quote::quote;
use crate::control::translate::middleware::{
    Reader, credentials, forward_auth, headers, limits, path,
};
use crate::model::middleware::{Redirect, RedirectStatus, SourceList, Step};
use http::StatusCode;
use serde_json::{Map, Value, json};

const REDIRECT: &str = "ravelin.dev/redirect";
const REDIRECT_STATUS: &str = "ravelin.dev/redirect-status";
const ALLOW: &str = "ravelin.dev/allow";
const DENY: &str = "ravelin.dev/deny";
const RATE_LIMIT: &str = "ravelin.dev/rate-limit";
const RATE_LIMIT_BURST: &str = "ravelin.dev/rate-limit-burst";
/// A Secret with users, possibly of another namespace.
pub(super) const BASIC_AUTH: &str = "ravelin.dev/basic-auth-secret";
const REALM: &str = "ravelin.dev/basic-auth-realm";
const FORWARD_AUTH: &str = "ravelin.dev/forward-auth";
const FORWARD_AUTH_HEADERS: &str = "ravelin.dev/forward-auth-headers";
const STRIP_PREFIX: &str = "ravelin.dev/strip-prefix";
const REWRITE: &str = "ravelin.dev/rewrite";
const ADD_PREFIX: &str = "ravelin.dev/add-prefix";
const REQUEST_HEADERS: &str = "ravelin.dev/request-headers";
const RESPONSE_HEADERS: &str = "ravelin.dev/response-headers";

/// Those that restrict who is served, and do not say so by a word in their names.
pub(in crate::control::translate) const RESTRICTING: [&str; 4] =
    [zone::HEADER, zone::SECRET, zone::WORKERS, zone::PASSES];

/// All of them, on Ingresses.
pub(in crate::control::translate) const NAMES: [&str; 23] = [
    zone::HEADER,
    zone::SECRET,
    zone::WORKERS,
    zone::PASSES,
    zone::CLIENT_HEADERS,
    REDIRECT,
    REDIRECT_STATUS,
    ALLOW,
    DENY,
    RATE_LIMIT,
    RATE_LIMIT_BURST,
    access::ACCESS,
    access::ACCESS_GROUPS,
    BASIC_AUTH,
    REALM,
    FORWARD_AUTH,
    FORWARD_AUTH_HEADERS,
    STRIP_PREFIX,
    REWRITE,
    ADD_PREFIX,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    pages::ERROR_PAGES,
];

/// Reads them.
pub(super) fn read(maker: &mut Maker<'_, '_>) {
    redirect(maker);
    maker.sources(DENY, SourceList::Deny);
    maker.sources(ALLOW, SourceList::Allow);
    rate_limit(maker);
    access::read(maker);
    basic_auth(maker);
    forward_auth(maker);
    paths(maker);
    for (annotation, field) in
        [(REQUEST_HEADERS, "customRequestHeaders"), (RESPONSE_HEADERS, "customResponseHeaders")]
    {
        if let Some(fields) = lines(maker, annotation) {
            draft(maker, |fields, _| headers::read(fields), json!({field: fields}), annotation);
        }
    }
}

/// A step whose fields are all from one annotation.
fn draft(maker: &mut Maker<'_, '_>, reader: Reader, spec: Value, annotation: &str) {
    maker.draft(&Draft { reader, spec, annotation, fields: &[], namespace: None });
}

fn redirect(maker: &mut Maker<'_, '_>) {
    let Some(to) = maker.get(REDIRECT) else { return };
    let status = nginx::status(maker, REDIRECT_STATUS, StatusCode::FOUND);
    if let Some(target) = nginx::target(maker, REDIRECT, to) {
        let redirect = Redirect { target, status: RedirectStatus::Exactly(status) };
        maker.push(REDIRECT, Step::Redirect(Box::new(redirect)), None);
    }
}

/// `100/s`, `10/m`, `1000/h`, or with a duration: `5/10s`.
fn rate_limit(maker: &mut Maker<'_, '_>) {
    let Some(value) = maker.get(RATE_LIMIT) else { return };
    let burst = maker.number(RATE_LIMIT_BURST);
    let parts = value.split_once('/').map(|(number, period)| (number.trim(), period.trim()));
    let read = parts.and_then(|(number, period)| {
        let starts_with_digit = period.starts_with(|first: char| first.is_ascii_digit());
        let period = if starts_with_digit { period.to_owned() } else { format!("1{period}") };
        let number = number.parse::<u32>().ok().filter(|number| *number > 0)?;
        config::duration(&period).ok().filter(|period| !period.is_zero())?;
        Some((number, period))
    });
    let Some((average, period)) = read else {
        let reason = format!("{} is not a rate", quote(value));
        let fix = "write requests and time, such as \"100/s\" or \"30/m\"";
        return maker.refuse(RATE_LIMIT, &reason, fix);
    };
    let spec = json!({"average": average, "period": period, "burst": burst.unwrap_or(average)});
    draft(maker, limits::rate, spec, RATE_LIMIT);
}

fn basic_auth(maker: &mut Maker<'_, '_>) {
    let Some(secret) = maker.get(BASIC_AUTH) else {
        return;
    };
    let (namespace, name) = split(secret);
    let mut spec = json!({"secret": name});
    if let Some(realm) = maker.get(REALM) {
        spec["realm"] = realm.into();
    }
    let (annotation, fields) = (BASIC_AUTH, [("realm", REALM)]);
    let reader = credentials::basic;
    maker.draft(&Draft { reader, spec, annotation, fields: &fields, namespace });
}

fn forward_auth(maker: &mut Maker<'_, '_>) {
    let Some(address) = maker.address(FORWARD_AUTH) else {
        return;
    };
    let names = maker.list(FORWARD_AUTH_HEADERS);
    let spec = json!({"address": address, "authResponseHeaders": names});
    let fields = [("authResponseHeaders", FORWARD_AUTH_HEADERS)];
    let (annotation, reader) = (FORWARD_AUTH, forward_auth::read);
    maker.draft(&Draft { reader, spec, annotation, fields: &fields, namespace: None });
}

fn paths(maker: &mut Maker<'_, '_>) {
    let prefixes = maker.list(STRIP_PREFIX);
    if !prefixes.is_empty() {
        let reader: Reader = |fields, _| path::strip_prefix(fields);
        draft(maker, reader, json!({"prefixes": prefixes}), STRIP_PREFIX);
    }
    if let Some(rewrite) = maker.get(REWRITE) {
        let parts: Vec<&str> = rewrite.split_whitespace().collect();
        match parts[..] {
            [regex, replacement] => {
                let spec = json!({"regex": regex, "replacement": replacement});
                draft(maker, |fields, _| path::replace_path_regex(fields), spec, REWRITE);
            }
            _ => {
                let reason = "is not a regular expression and a replacement";
                let fix = "write both with a space between, such as \"^/old/(.*) /new/$1\"";
                maker.refuse(REWRITE, reason, fix);
            }
        }
    }
    if let Some(prefix) = maker.get(ADD_PREFIX) {
        draft(maker, |fields, _| path::add_prefix(fields), json!({"prefix": prefix}), ADD_PREFIX);
    }
}

/// Lines of `Name: value`; without a value the field is removed.
fn lines(maker: &mut Maker<'_, '_>, annotation: &str) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    for line in maker.get(annotation)?.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            let reason = format!("{} has no colon", quote(line));
            maker.refuse(annotation, &reason, "write a line such as X-Frame-Options: DENY");
            return None;
        };
        fields.insert(name.trim().to_owned(), value.trim().into());
    }
    (!fields.is_empty()).then_some(fields)
}
