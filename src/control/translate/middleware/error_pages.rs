//! `errors`: pages of a Service in place of responses with some statuses.

use super::texts::{field_name, status, status_range, status_ranges};
use super::{Context, Fields};
use crate::control::quote::quote;
use crate::model::middleware::{ErrorPages, StatusRange, Step};
use crate::model::{BackendKey, PortKey, Why};
use http::uri::PathAndQuery;
use http::{HeaderName, StatusCode};
use std::sync::Arc;

/// Reads it.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>, context: &mut Context<'_>) -> Option<Step> {
    fields.know(&[
        "status",
        "statusRewrites",
        "service",
        "query",
        "forwardNginxHeaders",
        "errorRequestHeaders",
    ]);
    let request_fields = request_fields(fields);
    let ranges = status_ranges(fields);
    if ranges.is_empty() && !fields.is_broken() {
        fields.refuse("status", "is empty", "list the statuses that get a page");
    }
    let rewrites = rewrites(fields);
    let query = fields.text("query").filter(|query| !query.is_empty()).unwrap_or("/");
    let query = if query.starts_with('/') { query.to_owned() } else { format!("/{query}") };
    let fix = "write a path, with a query or without, and escape what is none: %20 for a blank";
    fields.parse("query", &query, target(&query), fix);
    let service = fields.below("service", |service| key(service, context));
    if service.is_none() {
        fields.refuse("service", "is missing", "name the Service with the pages");
    }
    let backend = service.flatten()?;
    let pages = ErrorPages {
        status: ranges,
        rewrites,
        backend,
        query: query.into(),
        request_fields,
        ours: true,
        nginx_fields: false,
    };
    Some(Step::Errors(Box::new(pages)))
}

/// Whether it is a target of requests, with statuses and an address in place of their names.
fn target(query: &str) -> Result<(), String> {
    let filled = ["{status}", "{originalStatus}", "{url}"]
        .iter()
        .fold(query.to_owned(), |text, name| text.replace(name, "404"));
    PathAndQuery::try_from(filled).map(drop).map_err(|_| "is not a path".to_owned())
}

fn request_fields(fields: &mut Fields<'_, '_, '_>) -> Option<Vec<HeaderName>> {
    const KEY: &str = "errorRequestHeaders";
    fields.get(KEY)?;
    let names = fields.texts(KEY);
    let names = names
        .into_iter()
        .filter_map(|text| fields.parse(KEY, text, field_name(text), "write the name of a field"));
    Some(names.collect())
}

fn rewrites(fields: &mut Fields<'_, '_, '_>) -> Vec<(StatusRange, StatusCode)> {
    let mut rewrites = Vec::new();
    let map = fields.get("statusRewrites").and_then(serde_json::Value::as_object);
    for (text, to) in map.into_iter().flatten() {
        let fix = "write ranges such as \"500-503\": 200";
        let from = fields.parse("statusRewrites", text, status_range(text), fix);
        let code = to.as_i64().unwrap_or(-1);
        let to = fields.parse("statusRewrites", &to.to_string(), status(code), fix);
        rewrites.extend(from.zip(to));
    }
    rewrites.sort_by_key(|(from, _)| (from.first, from.last));
    rewrites
}

fn key(fields: &mut Fields<'_, '_, '_>, context: &Context<'_>) -> Option<BackendKey> {
    const IGNORED: [&str; 9] = [
        "scheme",
        "strategy",
        "weight",
        "passHostHeader",
        "sticky",
        "serversTransport",
        "responseForwarding",
        "nativeLB",
        "nodePortLB",
    ];
    let known = ["name", "namespace", "port", "kind"].into_iter().chain(IGNORED);
    fields.know(&known.collect::<Vec<_>>());
    for key in IGNORED {
        fields.tell(key, "annotations of the Service say how its pods are asked");
    }
    if let Some(kind) = fields.text("kind").filter(|kind| !matches!(*kind, "" | "Service")) {
        let reason = format!("{} is not a Service", quote(kind));
        fields.refuse_for(Why::Unsupported, "kind", reason, "name a Service");
    }
    let namespace = match fields.text("namespace").filter(|namespace| !namespace.is_empty()) {
        Some(other) => {
            if !context.policy.allows(context.namespace, other) {
                let reason = format!("{} is another namespace, which is forbidden", quote(other));
                let fix = "use a Service of the same namespace, or set source.middlewares = \"any-namespace\"";
                fields.refuse("namespace", reason, fix);
            }
            Arc::from(other)
        }
        None => Arc::clone(context.namespace),
    };
    let port = match fields.get("port") {
        None => None,
        Some(value) => match (value.as_u64(), value.as_str()) {
            (Some(number), _) => u16::try_from(number).ok().filter(|n| *n > 0).map(PortKey::Number),
            (_, Some(name)) => match name.parse::<u16>() {
                Ok(number) => (number > 0).then_some(PortKey::Number(number)),
                Err(_) => Some(PortKey::Name(name.into())),
            },
            _ => None,
        },
    };
    let name = fields.required("name", "name the Service with the pages");
    if port.is_none() && !fields.is_broken() {
        fields.refuse("port", "is missing, or not a port", "write a port of the Service");
    }
    Some(BackendKey { namespace, service: name?.into(), port: port?, variant: None })
}
