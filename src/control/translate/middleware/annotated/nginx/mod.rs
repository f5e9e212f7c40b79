//! ingress-nginx's annotations. Rewrites of paths are per path: `path_matching` reads them.

mod auth;
mod cors;

pub(super) use auth::{AUTH_SECRET, SET_HEADERS};

use super::{Draft, Maker};
use crate::control::quote::quote;
use crate::control::translate::annotations::has_everybody;
use crate::control::translate::middleware::texts::{
    field_name, field_value, is_of_connection, network, pattern,
};
use crate::control::translate::middleware::{Reader, error_pages, headers};
use crate::control::translate::snippet::{self, SnippetFields};
use crate::model::middleware::{
    ClientSelector, InFlightLimit, LimitKey, RateLimit, Redirect, RedirectStatus, RedirectTarget,
    Replacement, SourceList, Step,
};
use http::StatusCode;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

const TEMPORAL: &str = "nginx.ingress.kubernetes.io/temporal-redirect";
const TEMPORAL_CODE: &str = "nginx.ingress.kubernetes.io/temporal-redirect-code";
const PERMANENT: &str = "nginx.ingress.kubernetes.io/permanent-redirect";
const PERMANENT_CODE: &str = "nginx.ingress.kubernetes.io/permanent-redirect-code";
const APP_ROOT: &str = "nginx.ingress.kubernetes.io/app-root";
const WHITELIST: &str = "nginx.ingress.kubernetes.io/whitelist-source-range";
const ALLOWLIST: &str = "nginx.ingress.kubernetes.io/allowlist-source-range";
const DENYLIST: &str = "nginx.ingress.kubernetes.io/denylist-source-range";
const CONNECTIONS: &str = "nginx.ingress.kubernetes.io/limit-connections";
const PER_SECOND: &str = "nginx.ingress.kubernetes.io/limit-rps";
const PER_MINUTE: &str = "nginx.ingress.kubernetes.io/limit-rpm";
const BURST: &str = "nginx.ingress.kubernetes.io/limit-burst-multiplier";
const LIMIT_ALLOWLIST: &str = "nginx.ingress.kubernetes.io/limit-allowlist";
const LIMIT_WHITELIST: &str = "nginx.ingress.kubernetes.io/limit-whitelist";
const VHOST: &str = "nginx.ingress.kubernetes.io/upstream-vhost";
const PREFIX: &str = "nginx.ingress.kubernetes.io/x-forwarded-prefix";
const ERRORS: &str = "nginx.ingress.kubernetes.io/custom-http-errors";
const DEFAULT_BACKEND: &str = "nginx.ingress.kubernetes.io/default-backend";

/// A ConfigMap with fields of responses, possibly of another namespace.
pub(super) const CUSTOM_HEADERS: &str = "nginx.ingress.kubernetes.io/custom-headers";
const SNIPPET: &str = "nginx.ingress.kubernetes.io/configuration-snippet";

/// How many times its rate a client may ask at once.
const BURST_MULTIPLIER: u32 = 5;

/// Bits of an IPv6 address that make one visitor of a limit.
const VISITOR_BITS: u8 = 64;

/// Reads them.
pub(super) fn read(maker: &mut Maker<'_, '_>) {
    // Pages are for what those behind it answer as well.
    errors(maker);
    redirects(maker);
    cors::read(maker);
    maker.sources(DENYLIST, SourceList::Deny);
    // cert-manager writes lists of everybody on the Ingresses that answer its challenges.
    let is_list = |maker: &Maker<'_, '_>, name: &str| {
        !maker.annotations().get(name).is_some_and(has_everybody)
    };
    let is_any = auth::satisfies_any(maker);
    if !is_any {
        for name in [ALLOWLIST, WHITELIST] {
            if is_list(maker, name) {
                maker.sources(name, SourceList::Allow);
            }
        }
    }
    limits(maker);
    let before = maker.resolved.steps.len();
    auth::read(maker);
    if is_any {
        let lists = [ALLOWLIST, WHITELIST].into_iter().filter(|name| is_list(maker, name));
        let lists: Vec<_> = lists.collect();
        auth::exempt(maker, before, &lists);
    }
    maker.request_field(VHOST, "Host");
    maker.request_field(PREFIX, "X-Forwarded-Prefix");
    set_by_snippet(maker);
    custom_headers(maker);
}

/// `custom-headers`: fields of responses, in a ConfigMap.
fn custom_headers(maker: &mut Maker<'_, '_>) {
    let Some(config_map) = maker.config_map(CUSTOM_HEADERS, "responses do not get its fields")
    else {
        return;
    };
    let mut fields = Map::new();
    for (name, value) in config_map.data.iter().flatten() {
        let is_known = field_name(name).is_ok_and(|name| !is_of_connection(&name));
        if is_known && field_value(value).is_ok() && !value.contains('$') {
            fields.insert(name.clone(), value.trim().into());
        } else {
            let reason = format!("{} is not set: its name or its value is not plain", quote(name));
            maker.warn(CUSTOM_HEADERS, reason, "write names and values without variables");
        }
    }
    if !fields.is_empty() {
        let spec = json!({"customResponseHeaders": fields});
        let (annotation, reader): (_, Reader) = (CUSTOM_HEADERS, |fields, _| headers::read(fields));
        maker.draft(&Draft { reader, spec, annotation, fields: &[], namespace: None });
    }
}

/// What a `configuration-snippet` sets. One that does more leaves the routes unserved, which is told elsewhere.
fn set_by_snippet(maker: &mut Maker<'_, '_>) {
    let Some(read) = maker.get(SNIPPET).and_then(snippet::read) else {
        return;
    };
    let map = |fields: Vec<(String, String)>| -> Map<String, Value> {
        fields.into_iter().map(|(name, value)| (name, value.into())).collect()
    };
    if read == SnippetFields::default() {
        return;
    }
    let (request, response) = (map(read.request), map(read.response));
    let spec = json!({"customRequestHeaders": request, "customResponseHeaders": response});
    let (annotation, reader): (_, Reader) = (SNIPPET, |fields, _| headers::read(fields));
    maker.draft(&Draft { reader, spec, annotation, fields: &[], namespace: None });
}

fn redirects(maker: &mut Maker<'_, '_>) {
    let temporal = (TEMPORAL, TEMPORAL_CODE, StatusCode::FOUND);
    let permanent = (PERMANENT, PERMANENT_CODE, StatusCode::MOVED_PERMANENTLY);
    for (name, code, default) in [temporal, permanent] {
        let Some(to) = maker.get(name) else { continue };
        let status = status(maker, code, default);
        if let Some(target) = target(maker, name, to) {
            let status = RedirectStatus::Exactly(status);
            let redirect = Redirect { target, status };
            maker.push(name, Step::Redirect(Box::new(redirect)), None);
        }
    }
    let Some(root) = maker.get(APP_ROOT) else { return };
    if !root.starts_with('/') {
        let reason = format!("{} does not begin with a slash, and has no effect", quote(root));
        return maker.warn(APP_ROOT, reason, "write a path such as /app");
    }
    let target = RedirectTarget::Root(root.into());
    let redirect = Redirect { target, status: RedirectStatus::Exactly(StatusCode::FOUND) };
    maker.push(APP_ROOT, Step::Redirect(Box::new(redirect)), None);
}

/// Statuses that redirect, as ingress-nginx has them; others are as good as none.
pub(super) fn status(maker: &mut Maker<'_, '_>, name: &str, default: StatusCode) -> StatusCode {
    let Some(value) = maker.get(name) else { return default };
    let code = value.parse::<u16>().ok().filter(|code| (300..=308).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or_else(|| {
        let reason = format!("{} is not the status of a redirect: it is {default}", quote(value));
        maker.warn(name, reason, "write one from 301 to 308");
        default
    })
}

/// The variables that an address may have, and the parts of `scheme://host/path?query` that they stand for.
const VARIABLES: [(&str, &str); 4] =
    [("$request_uri", "${3}"), ("$http_host", "${2}"), ("$scheme", "${1}"), ("$host", "${2}")];

/// Where a redirect leads. The steps of a redirect answer every request, so one that is not understood is refused.
pub(super) fn target(maker: &mut Maker<'_, '_>, name: &str, to: &str) -> Option<RedirectTarget> {
    if !to.contains('$') {
        return Some(RedirectTarget::Fixed(to.into()));
    }
    let filled =
        VARIABLES.iter().fold(to.to_owned(), |text, (name, part)| text.replace(name, part));
    let rest = VARIABLES.iter().fold(to.to_owned(), |text, (name, _)| text.replace(name, ""));
    let regex = pattern("(?s)^([a-z]+)://([^/?]*)(.*)$").ok()?;
    if rest.contains('$') {
        let reason = format!("{} has a variable that is not known", quote(to));
        let fix = "use $scheme, $host and $request_uri alone";
        maker.refuse(name, &reason, fix);
        return None;
    }
    Some(RedirectTarget::Regex { regex, replacement: Replacement::new(&filled) })
}

fn limits(maker: &mut Maker<'_, '_>) {
    let client = || LimitKey::Client(ClientSelector::Visitor { ipv6_bits: VISITOR_BITS });
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let except = not_limited(maker);
    if let Some(amount) = maker.number(CONNECTIONS).and_then(NonZeroU32::new) {
        let limit = InFlightLimit { amount, key: client(), except: except.clone(), status };
        maker.push(CONNECTIONS, Step::InFlight(Box::new(limit)), None);
    }
    let multiplier = maker.number(BURST).unwrap_or(BURST_MULTIPLIER);
    for (name, seconds) in [(PER_SECOND, 1), (PER_MINUTE, 60)] {
        let Some(average) = maker.number(name).and_then(NonZeroU32::new) else { continue };
        let period = Duration::from_secs(seconds);
        // Beyond the one that is due (ngx_http_limit_req_module, `burst` with `nodelay`).
        let burst = average.saturating_mul(NonZeroU32::new(multiplier).unwrap_or(NonZeroU32::MIN));
        let burst = burst.saturating_add(1);
        let (key, except, shared) = (client(), except.clone(), None);
        let limit = RateLimit { average, period, burst, key, except, status, shared };
        maker.push(name, Step::RateLimit(Box::new(limit)), None);
    }
}

/// Visitors for whom the limits are not. What is not understood leaves a visitor limited.
fn not_limited(maker: &mut Maker<'_, '_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for name in [LIMIT_ALLOWLIST, LIMIT_WHITELIST] {
        for text in maker.list(name) {
            match network(text) {
                Ok(network) => networks.push(network),
                Err(problem) => {
                    let reason = format!("{} {problem}, and exempts nobody", quote(text));
                    let fix = "write addresses and networks in CIDR notation, with commas";
                    maker.warn(name, reason, fix);
                }
            }
        }
    }
    networks
}

/// `custom-http-errors` with the Service of `default-backend`.
fn errors(maker: &mut Maker<'_, '_>) {
    let statuses = maker.list(ERRORS);
    if statuses.is_empty() {
        return;
    }
    let Some(service) = maker.get(DEFAULT_BACKEND) else {
        let reason = "names no Service with pages: responses of the pod are passed on unchanged";
        let fix = "name one in nginx.ingress.kubernetes.io/default-backend";
        return maker.warn(ERRORS, reason.to_owned(), fix);
    };
    let name = (Arc::clone(maker.asking.namespace), Arc::from(service));
    let found = maker.subject.objects.services().get(&name.0, service);
    let ports = found.and_then(|service| service.spec.as_ref()?.ports.as_deref());
    let port = ports.and_then(<[_]>::first).map(|port| port.port);
    maker.resolved.dependencies.insert(super::Dependency::Service(name));
    let Some(port) = port else {
        let reason =
            format!("names Service {}, which does not exist or has no port", quote(service));
        return maker.warn(DEFAULT_BACKEND, reason, "name a Service of this namespace");
    };
    let spec =
        json!({"status": statuses, "service": {"name": service, "port": port}, "query": "/"});
    let fields = [("service", DEFAULT_BACKEND)];
    let (reader, annotation) = (error_pages::read, ERRORS);
    let draft = Draft { reader, spec, annotation, fields: &fields, namespace: None };
    maker.draft_with(&draft, |step| {
        if let Step::Errors(pages) = step {
            pages.nginx_fields = true;
        }
    });
}
